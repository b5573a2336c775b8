<?php
require __DIR__ . '/lib.php';
const CONTRACT = 1090;
$id = event();
if ((int) $_POST['data']['FIELDS']['ENTITY_TYPE_ID'] !== CONTRACT) {
    exit;
}
$lock = fopen(__DIR__ . '/lock', 'c');
flock($lock, LOCK_EX);
$contract = call('crm.item.get', ['entityTypeId' => CONTRACT, 'id' => $id])['item'];
if ($contract['ufCrm9Number'] != '') {
    exit;
}
$series = 'CONT-' . date('Y', strtotime($contract['createdTime']));
$last = (int) @file_get_contents(__DIR__ . "/$series");
$number = sprintf('%s-%04d', $series, $last + 1);
call('crm.item.update', ['entityTypeId' => CONTRACT, 'id' => $id, 'fields' => ['ufCrm9Number' => $number]]);
file_put_contents(__DIR__ . "/$series", $last + 1);
