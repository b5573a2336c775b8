<?php
require __DIR__ . '/crest.php'; // CRest::call of https://github.com/bitrix-tools/crest
const TOKEN = 'application token';
function call(string $method, array $params = [])
{
    $answer = CRest::call($method, $params);
    if (isset($answer['error'])) {
        throw new Exception($method . ': ' . $answer['error']);
    }
    return $answer['result'];
}
function all(string $method, array $params, string $key): array
{
    $items = [];
    for ($start = 0; ; $start += 50) {
        $page = call($method, $params + ['start' => $start]);
        $page = $key === '' ? $page : $page[$key];
        $items = array_merge($items, $page);
        if (count($page) < 50) {
            return $items;
        }
    }
}
function remembered(string $name)
{
    $file = __DIR__ . '/state.json';
    return json_decode(@file_get_contents($file) ?: '{}', true)[$name] ?? null;
}
function remember(string $name, $value): void
{
    $file = fopen(__DIR__ . '/state.json', 'c+');
    flock($file, LOCK_EX);
    $state = json_decode(stream_get_contents($file) ?: '{}', true);
    $state[$name] = $value;
    ftruncate($file, 0);
    rewind($file);
    fwrite($file, json_encode($state));
    fclose($file);
}
function event(): int
{
    if (($_POST['auth']['application_token'] ?? '') !== TOKEN) {
        exit(http_response_code(403));
    }
    return (int) ($_POST['data']['FIELDS']['ID'] ?? 0);
}
