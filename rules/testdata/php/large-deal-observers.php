<?php
require __DIR__ . '/lib.php';
const AMOUNT = 500000;
const OBSERVERS = [12, 15];
$id = event();
$deal = call('crm.item.get', ['entityTypeId' => 2, 'id' => $id])['item'];
$others = array_diff(OBSERVERS, $deal['observers'] ?? []);
if ($deal['opportunity'] >= AMOUNT && $others) {
    call('crm.item.update', ['entityTypeId' => 2, 'id' => $id, 'fields' => ['observers' => array_merge($deal['observers'] ?? [], $others)]]);
}
