<?php
require __DIR__ . '/lib.php';
$id = event();
$rows = all('crm.item.productrow.list', ['filter' => ['=ownerType' => 'D', '=ownerId' => $id]], 'productRows');
$groups = [];
foreach ($rows as $r) {
    $name = str_starts_with($r['productName'], 'Service') ? 'services' : 'goods';
    $groups[$name]['sum'] = ($groups[$name]['sum'] ?? 0) + $r['price'] * $r['quantity'];
    $groups[$name]['n'] = ($groups[$name]['n'] ?? 0) + 1;
}
uasort($groups, fn ($a, $b) => $b['sum'] <=> $a['sum']);
$lines = [];
foreach ($groups as $name => $g) {
    $lines[] = $name . ': ' . $g['n'] . ' rows, ' . number_format($g['sum'], 2, ',', ' ');
}
$comment = implode('[br]', $lines);
$deal = call('crm.item.get', ['entityTypeId' => 2, 'id' => $id])['item'];
if ($deal['comments'] !== $comment) {
    call('crm.item.update', ['entityTypeId' => 2, 'id' => $id, 'fields' => ['comments' => $comment]]);
}
