<?php
require __DIR__ . '/lib.php';
// started by cron every 15 minutes
$elements = all('lists.element.get', ['IBLOCK_TYPE_ID' => 'lists', 'IBLOCK_ID' => 12], '');
foreach ($elements as $e) {
    $found = call('crm.item.list', ['entityTypeId' => 1110, 'filter' => ['ufCrm11Element' => $e['ID']]])['items'];
    if (!$found) {
        call('crm.item.add', ['entityTypeId' => 1110, 'fields' => ['title' => $e['NAME'], 'ufCrm11Element' => $e['ID']]]);
    } elseif ($found[0]['title'] !== $e['NAME']) {
        call('crm.item.update', ['entityTypeId' => 1110, 'id' => $found[0]['id'], 'fields' => ['title' => $e['NAME']]]);
    }
}
