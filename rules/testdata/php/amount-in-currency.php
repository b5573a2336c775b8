<?php
require __DIR__ . '/lib.php';
$id = event();
$deal = call('crm.item.get', ['entityTypeId' => 2, 'id' => $id])['item'];
$currency = call('crm.currency.get', ['id' => $deal['currencyId']]);
$amount = round($deal['opportunity'] * $currency['AMOUNT'] / $currency['AMOUNT_CNT'], 2);
if ($deal['ufCrm_BASE_AMOUNT'] != $amount) {
    call('crm.item.update', ['entityTypeId' => 2, 'id' => $id, 'fields' => ['ufCrm_BASE_AMOUNT' => $amount]]);
}
