<?php
require __DIR__ . '/lib.php';
const BOT = 'token';
const CHAT = 'id';
$id = event();
$deal = call('crm.item.get', ['entityTypeId' => 2, 'id' => $id])['item'];
$won = $deal['stageSemanticId'] === 'S';
if ($won && !remembered("won-$id")) {
    $curl = curl_init('https://api.telegram.org/bot' . BOT . '/sendMessage');
    curl_setopt_array($curl, [
        CURLOPT_POST => true, CURLOPT_RETURNTRANSFER => true, CURLOPT_TIMEOUT => 10,
        CURLOPT_POSTFIELDS => ['chat_id' => CHAT, 'text' => $deal['title'] . ' is won'],
    ]);
    $answer = json_decode((string) curl_exec($curl), true);
    if (!($answer['ok'] ?? false)) {
        throw new Exception('Telegram does not answer');
    }
}
remember("won-$id", $won);
