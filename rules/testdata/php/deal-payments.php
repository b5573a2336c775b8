<?php
require __DIR__ . '/lib.php';
const PAYMENT = 1080;
$id = event();
if (str_starts_with($_POST['event'], 'ONCRMDYNAMICITEM')) {
    if ((int) $_POST['data']['FIELDS']['ENTITY_TYPE_ID'] !== PAYMENT) {
        exit;
    }
    $deleted = $_POST['event'] === 'ONCRMDYNAMICITEMDELETE';
    $parent = $deleted ? 0 : call('crm.item.get', ['entityTypeId' => PAYMENT, 'id' => $id])['item']['parentId2'];
    $deals = array_unique(array_filter([remembered("payment-$id"), $parent]));
    remember("payment-$id", $parent);
} else {
    $deals = [$id];
}
foreach ($deals as $of) {
    $deal = call('crm.item.get', ['entityTypeId' => 2, 'id' => $of])['item'];
    $payments = all('crm.item.list', ['entityTypeId' => PAYMENT, 'filter' => ['parentId2' => $of]], 'items');
    $paid = round(array_sum(array_column($payments, 'opportunity')), 2);
    if ($deal['ufCrm_PAID'] != $paid || $deal['ufCrm_DEBT'] != max($deal['opportunity'] - $paid, 0)) {
        call('crm.item.update', ['entityTypeId' => 2, 'id' => $of, 'fields' => ['ufCrm_PAID' => $paid, 'ufCrm_DEBT' => max($deal['opportunity'] - $paid, 0)]]);
    }
}
