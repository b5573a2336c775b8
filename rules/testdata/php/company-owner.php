<?php
require __DIR__ . '/lib.php';
$id = event();
$company = call('crm.item.get', ['entityTypeId' => 4, 'id' => $id])['item'];
$before = remembered("owner-$id");
if ($before !== null && $before !== $company['assignedById']) {
    $deals = all('crm.item.list', ['entityTypeId' => 2, 'filter' => ['companyId' => $id, 'stageSemanticId' => 'P'], 'select' => ['id']], 'items');
    $contacts = all('crm.item.list', ['entityTypeId' => 3, 'filter' => ['companyId' => $id], 'select' => ['id']], 'items');
    foreach ([2 => $deals, 3 => $contacts] as $type => $items) {
        foreach ($items as $item) {
            call('crm.item.update', ['entityTypeId' => $type, 'id' => $item['id'], 'fields' => ['assignedById' => $company['assignedById']]]);
        }
    }
}
remember("owner-$id", $company['assignedById']);
