<?php
require __DIR__ . '/lib.php';
const RECEPTION = 1;
const MANAGERS = [12, 15, 21];
event();
$lock = fopen(__DIR__ . '/lock', 'c');
flock($lock, LOCK_EX);
$open = all('crm.item.list', ['entityTypeId' => 1, 'filter' => ['stageSemanticId' => 'P'], 'select' => ['id', 'assignedById']], 'items');
$load = array_fill_keys(MANAGERS, 0);
foreach ($open as $lead) {
    if (isset($load[$lead['assignedById']])) {
        $load[$lead['assignedById']]++;
    }
}
foreach ($open as $lead) {
    if ($lead['assignedById'] == RECEPTION) {
        asort($load);
        $manager = array_key_first($load);
        call('crm.item.update', ['entityTypeId' => 1, 'id' => $lead['id'], 'fields' => ['assignedById' => $manager]]);
        $load[$manager]++;
    }
}
