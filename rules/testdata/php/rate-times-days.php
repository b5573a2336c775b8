<?php
require __DIR__ . '/lib.php';
$id = event();
$deal = call('crm.item.get', ['entityTypeId' => 2, 'id' => $id])['item'];
$rate = explode('|', $deal['ufCrm_RATE'] ?? '');
if (count($rate) !== 2) {
    exit;
}
$total = round($rate[0] * (float) $deal['ufCrm_DAYS'], 2) . '|' . $rate[1];
if ($deal['ufCrm_TOTAL'] !== $total) {
    call('crm.item.update', ['entityTypeId' => 2, 'id' => $id, 'fields' => ['ufCrm_TOTAL' => $total]]);
}
