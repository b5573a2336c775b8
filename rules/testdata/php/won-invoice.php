<?php
require __DIR__ . '/lib.php';
$id = event();
$deal = call('crm.item.get', ['entityTypeId' => 2, 'id' => $id])['item'];
if ($deal['stageSemanticId'] !== 'S') {
    exit;
}
$rows = all('crm.item.productrow.list', ['filter' => ['=ownerType' => 'D', '=ownerId' => $id]], 'productRows');
$fields = [
    'title' => 'Invoice for ' . $deal['title'], 'companyId' => $deal['companyId'], 'contactId' => $deal['contactId'],
    'assignedById' => $deal['assignedById'], 'currencyId' => $deal['currencyId'], 'parentId2' => $id,
];
$found = call('crm.item.list', ['entityTypeId' => 31, 'filter' => ['parentId2' => $id]])['items'];
if ($found) {
    $invoice = $found[0]['id'];
    call('crm.item.update', ['entityTypeId' => 31, 'id' => $invoice, 'fields' => $fields]);
} else {
    $invoice = call('crm.item.add', ['entityTypeId' => 31, 'fields' => $fields])['item']['id'];
}
$copy = array_map(fn ($r) => [
    'productId' => $r['productId'], 'productName' => $r['productName'], 'price' => $r['price'],
    'quantity' => $r['quantity'], 'taxRate' => $r['taxRate'], 'taxIncluded' => $r['taxIncluded'],
], $rows);
call('crm.item.productrow.set', ['ownerType' => 'SI', 'ownerId' => $invoice, 'productRows' => $copy]);
