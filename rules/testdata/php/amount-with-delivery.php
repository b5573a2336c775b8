<?php
require __DIR__ . '/lib.php';
$id = event();
$deal = call('crm.item.get', ['entityTypeId' => 2, 'id' => $id])['item'];
$rows = all('crm.item.productrow.list', ['filter' => ['=ownerType' => 'D', '=ownerId' => $id]], 'productRows');
$sum = (float) explode('|', $deal['ufCrm_DELIVERY'] ?? '')[0];
foreach ($rows as $r) {
    $sum += $r['price'] * $r['quantity'];
}
if (round($sum, 2) != $deal['opportunity']) {
    call('crm.item.update', ['entityTypeId' => 2, 'id' => $id, 'fields' => ['isManualOpportunity' => 'Y', 'opportunity' => round($sum, 2)]]);
}
