<?php
// A proxy that makes a portal in UTF-8 one in windows-1251: a router for php -S. It
// converts with iconv, and reads the commands of a batch as PHP does.
function convert($value, string $from, string $to) {
	if (is_array($value)) {
		$out = [];
		foreach ($value as $key => $one) {
			$out[is_string($key) ? iconv($from, $to, $key) : $key] = convert($one, $from, $to);
		}
		return $out;
	}
	return is_string($value) ? iconv($from, $to, $value) : $value;
}

$body = iconv('windows-1251', 'UTF-8', file_get_contents('php://input'));
if (str_ends_with($_SERVER['REQUEST_URI'], '/batch')) {
	$batch = json_decode($body, true, 512, JSON_THROW_ON_ERROR);
	foreach ($batch['cmd'] as $key => $command) {
		[$method, $query] = explode('?', $command, 2) + [1 => ''];
		parse_str($query, $params);
		$batch['cmd'][$key] = $method . '?' . http_build_query(convert($params, 'windows-1251', 'UTF-8'));
	}
	$body = json_encode($batch, JSON_THROW_ON_ERROR);
}
$request = curl_init(getenv('PORTAL') . $_SERVER['REQUEST_URI']);
curl_setopt_array($request, [
	CURLOPT_POST => true, CURLOPT_POSTFIELDS => $body, CURLOPT_RETURNTRANSFER => true,
	CURLOPT_HTTPHEADER => ['Content-Type: application/json'],
]);
$answer = json_decode(curl_exec($request), false, 512, JSON_THROW_ON_ERROR);
http_response_code(curl_getinfo($request, CURLINFO_RESPONSE_CODE));
header('Content-Type: application/json');
echo iconv('UTF-8', 'windows-1251', json_encode($answer, JSON_UNESCAPED_UNICODE | JSON_UNESCAPED_SLASHES | JSON_PRESERVE_ZERO_FRACTION));
