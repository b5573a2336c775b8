<?php
require __DIR__ . '/lib.php';
const ORDER = 1072;
$id = event();
$deal = call('crm.item.get', ['entityTypeId' => 2, 'id' => $id])['item'];
$rows = all('crm.item.productrow.list', ['filter' => ['=ownerType' => 'D', '=ownerId' => $id]], 'productRows');
if (!$rows) {
    exit;
}
$fields = ['title' => 'Order for ' . $deal['title'], 'assignedById' => $deal['assignedById'], 'parentId2' => $id];
$found = call('crm.item.list', ['entityTypeId' => ORDER, 'filter' => ['parentId2' => $id]])['items'];
if ($found) {
    $order = $found[0]['id'];
    call('crm.item.update', ['entityTypeId' => ORDER, 'id' => $order, 'fields' => $fields]);
} else {
    $order = call('crm.item.add', ['entityTypeId' => ORDER, 'fields' => $fields])['item']['id'];
}
$copy = array_map(fn ($r) => [
    'productId' => $r['productId'], 'productName' => $r['productName'], 'price' => $r['price'],
    'quantity' => $r['quantity'], 'taxRate' => $r['taxRate'], 'taxIncluded' => $r['taxIncluded'],
], $rows);
call('crm.item.productrow.set', ['ownerType' => 'T' . dechex(ORDER), 'ownerId' => $order, 'productRows' => $copy]);
