<?php
require __DIR__ . '/lib.php';
const CATALOGUE = 24;
$id = event();
$deal = call('crm.item.get', ['entityTypeId' => 2, 'id' => $id])['item'];
$rows = all('crm.item.productrow.list', ['filter' => ['=ownerType' => 'D', '=ownerId' => $id]], 'productRows');
$ids = array_values(array_filter(array_column($rows, 'productId')));
$products = $ids ? all('catalog.product.list', ['select' => ['id', 'iblockId', 'purchasingPrice'], 'filter' => ['iblockId' => CATALOGUE, '@id' => $ids]], 'products') : [];
$cost = array_column($products, 'purchasingPrice', 'id');
$margin = 0;
foreach ($rows as $r) {
    $margin += ($r['price'] - ($cost[$r['productId']] ?? 0)) * $r['quantity'];
}
$margin = round($margin, 2);
if ($deal['ufCrm_MARGIN'] != $margin) {
    call('crm.item.update', ['entityTypeId' => 2, 'id' => $id, 'fields' => ['ufCrm_MARGIN' => $margin]]);
}
