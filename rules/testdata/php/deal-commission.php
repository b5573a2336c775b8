<?php
require __DIR__ . '/lib.php';
const TABLE = [0 => 3, 100000 => 5, 500000 => 7];
$id = event();
$deal = call('crm.item.get', ['entityTypeId' => 2, 'id' => $id])['item'];
$rate = 0;
foreach (TABLE as $from => $percent) {
    if ($deal['opportunity'] >= $from) {
        $rate = $percent;
    }
}
$commission = round($deal['opportunity'] * $rate / 100, 2);
if ($deal['ufCrm_COMMISSION'] != $commission) {
    call('crm.item.update', ['entityTypeId' => 2, 'id' => $id, 'fields' => ['ufCrm_COMMISSION' => $commission]]);
}
