<?php
require __DIR__ . '/lib.php';
$id = event();
$contact = call('crm.item.get', ['entityTypeId' => 3, 'id' => $id])['item'];
$phones = array_column(array_filter($contact['fm'] ?? [], fn ($e) => $e['typeId'] === 'PHONE'), 'value');
if (!$phones) {
    exit;
}
$found = call('crm.duplicate.findbycomm', ['entity_type' => 'CONTACT', 'type' => 'PHONE', 'values' => $phones]);
$others = array_values(array_diff($found['CONTACT'] ?? [], [$id]));
$comment = $others ? 'Same phone: ' . implode(', ', array_map(fn ($o) => "contact $o", $others)) : '';
if ($contact['comments'] !== $comment) {
    call('crm.item.update', ['entityTypeId' => 3, 'id' => $id, 'fields' => ['comments' => $comment]]);
}
