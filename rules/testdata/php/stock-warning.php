<?php
require __DIR__ . '/lib.php';
$id = event();
$deal = call('crm.item.get', ['entityTypeId' => 2, 'id' => $id])['item'];
$rows = all('crm.item.productrow.list', ['filter' => ['=ownerType' => 'D', '=ownerId' => $id]], 'productRows');
$ids = array_values(array_filter(array_column($rows, 'productId')));
$stock = $ids ? all('catalog.storeproduct.list', ['select' => ['productId', 'amount'], 'filter' => ['@productId' => $ids]], 'storeProducts') : [];
$have = [];
foreach ($stock as $s) {
    $have[$s['productId']] = ($have[$s['productId']] ?? 0) + $s['amount'];
}
$missing = [];
foreach ($rows as $r) {
    if ($r['productId'] && $r['quantity'] > ($have[$r['productId']] ?? 0)) {
        $missing[] = $r['productName'] . ': ' . $r['quantity'] . ' needed, ' . ($have[$r['productId']] ?? 0) . ' there';
    }
}
$text = implode("\n", $missing);
if ($text !== '' && remembered("stock-$id") !== $text) {
    call('im.notify.system.add', ['USER_ID' => $deal['assignedById'], 'MESSAGE' => $deal['title'] . "\n" . $text, 'TAG' => "stock-$id"]);
}
remember("stock-$id", $text);
