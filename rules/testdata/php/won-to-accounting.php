<?php
require __DIR__ . '/lib.php';
const URL = 'https://1c.example.com/hs/b24/orders';
const LOGIN = 'base64';
$id = event();
$deal = call('crm.item.get', ['entityTypeId' => 2, 'id' => $id])['item'];
if ($deal['stageSemanticId'] !== 'S' || $deal['ufCrm_ORDER_NUMBER'] != '') {
    exit;
}
$rows = all('crm.item.productrow.list', ['filter' => ['=ownerType' => 'D', '=ownerId' => $id]], 'productRows');
$curl = curl_init(URL);
curl_setopt_array($curl, [
    CURLOPT_POST => true, CURLOPT_RETURNTRANSFER => true, CURLOPT_TIMEOUT => 30,
    CURLOPT_HTTPHEADER => ['Content-Type: application/json', 'Authorization: Basic ' . LOGIN],
    CURLOPT_POSTFIELDS => json_encode(['id' => $id, 'sum' => $deal['opportunity'], 'rows' => array_map(
        fn ($r) => ['name' => $r['productName'], 'quantity' => $r['quantity'], 'price' => $r['price']],
        $rows
    )]),
]);
$answer = json_decode((string) curl_exec($curl), true);
if (curl_getinfo($curl, CURLINFO_HTTP_CODE) !== 200 || !isset($answer['number'])) {
    throw new Exception('the other system does not answer');
}
call('crm.item.update', ['entityTypeId' => 2, 'id' => $id, 'fields' => ['ufCrm_ORDER_NUMBER' => (string) $answer['number']]]);
