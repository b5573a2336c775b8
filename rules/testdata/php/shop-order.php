<?php
require __DIR__ . '/lib.php';
const SECRET = 'secret of the shop';
if (!hash_equals(SECRET, $_SERVER['HTTP_X_SHOP_TOKEN'] ?? '')) {
    exit(http_response_code(403));
}
$order = json_decode(file_get_contents('php://input'), true);
if (!isset($order['order'], $order['sum'], $order['client']['id'], $order['client']['name'])) {
    exit(http_response_code(422));
}
function upsert(int $type, string $origin, array $fields): int
{
    $key = ['originatorId' => 'shop', 'originId' => $origin];
    $found = call('crm.item.list', ['entityTypeId' => $type, 'filter' => $key, 'select' => ['id']])['items'];
    if ($found) {
        call('crm.item.update', ['entityTypeId' => $type, 'id' => $found[0]['id'], 'fields' => $fields]);
        return $found[0]['id'];
    }
    return call('crm.item.add', ['entityTypeId' => $type, 'fields' => $fields + $key])['item']['id'];
}
$contact = upsert(3, (string) $order['client']['id'], ['name' => $order['client']['name']]);
upsert(2, (string) $order['order'], [
    'title' => 'Order ' . $order['order'], 'contactId' => $contact,
    'opportunity' => $order['sum'], 'currencyId' => $order['currency'] ?? 'RUB',
]);
