<?php
require __DIR__ . '/lib.php';
$id = event();
$activity = call('crm.activity.get', ['id' => $id]);
if ($activity['TYPE_ID'] != 2 || $activity['OWNER_TYPE_ID'] != 2) {
    exit;
}
$calls = call('crm.activity.list', [
    'filter' => ['OWNER_TYPE_ID' => 2, 'OWNER_ID' => $activity['OWNER_ID'], 'TYPE_ID' => 2],
    'order' => ['START_TIME' => 'DESC'], 'select' => ['START_TIME'],
]);
if ($calls) {
    call('crm.item.update', ['entityTypeId' => 2, 'id' => $activity['OWNER_ID'], 'fields' => ['ufCrm_LAST_CALL' => $calls[0]['START_TIME']]]);
}
