<?php
require __DIR__ . '/lib.php';
$id = event();
$deal = call('crm.item.get', ['entityTypeId' => 2, 'id' => $id])['item'];
$was = remembered("amount-$id") ?? $deal['opportunity'];
if ($was != $deal['opportunity']) {
    $text = number_format($was, 2, ',', ' ') . ' → ' . number_format($deal['opportunity'], 2, ',', ' ') . ' ' . $deal['currencyId'];
    call('crm.timeline.comment.add', ['fields' => ['ENTITY_TYPE' => 'deal', 'ENTITY_ID' => $id, 'COMMENT' => $text]]);
}
remember("amount-$id", $deal['opportunity']);
