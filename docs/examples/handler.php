<?php
// A handler as integrators write it: one element of list LIST for each product row of a deal.
//   PORTAL=https://acme.bitrix24.com/rest/7/SECRET/ LIST=63 php -S 127.0.0.1:8499 handler.php
// docs/from-nothing.md replaces it by a rule while the portal is in use.
function call(string $method, array $params): array {
	$context = stream_context_create(['http' => [
		'method' => 'POST', 'header' => 'Content-Type: application/x-www-form-urlencoded',
		'content' => http_build_query($params), 'ignore_errors' => true,
	]]);
	do {
		$answer = json_decode((string)file_get_contents(getenv('PORTAL') . $method . '.json', false, $context), true);
	} while (($answer['error'] ?? '') === 'QUERY_LIMIT_EXCEEDED' && sleep(1) === 0);
	if (!isset($answer['result'])) {
		error_log("$method: " . json_encode($answer));
	}
	return $answer ?? [];
}

// Properties of the list: the deal, the product, the quantity, the sum.
const DEAL = 'PROPERTY_301', GOODS = 'PROPERTY_302', QUANTITY = 'PROPERTY_303', SUM = 'PROPERTY_304';

function elements(array $list, int $deal): array {
	$all = [];
	for ($start = 0; $start !== null; $start = $page['next'] ?? null) {
		$page = call('lists.element.get', $list + ['FILTER' => ['=' . DEAL => $deal], 'start' => $start]);
		$all = array_merge($all, $page['result'] ?? []);
	}
	return $all;
}

$deal = (int)($_POST['data']['FIELDS']['ID'] ?? 0);
$list = ['IBLOCK_TYPE_ID' => 'lists', 'IBLOCK_ID' => getenv('LIST')];
$rows = $_POST['event'] === 'ONCRMDEALDELETE' ? [] : call('crm.deal.productrows.get', ['id' => $deal])['result'] ?? [];
$old = elements($list, $deal);
foreach ($rows as $row) {
	$fields = [
		'NAME' => $row['PRODUCT_NAME'] . ' × ' . (float)$row['QUANTITY'], DEAL => $deal, GOODS => $row['PRODUCT_ID'],
		QUANTITY => $row['QUANTITY'], SUM => round($row['PRICE'] * $row['QUANTITY'], 2),
	];
	$known = array_filter($old, fn($e) => (int)reset($e[GOODS]) === (int)$row['PRODUCT_ID']);
	if ($known) {
		$key = array_key_first($known);
		call('lists.element.update', $list + ['ELEMENT_ID' => $old[$key]['ID'], 'FIELDS' => $fields]);
		unset($old[$key]);
	} else {
		call('lists.element.add', $list + ['ELEMENT_CODE' => uniqid("deal-$deal-", true), 'FIELDS' => $fields]);
	}
}
foreach ($old as $element) {
	call('lists.element.delete', $list + ['ELEMENT_ID' => $element['ID']]);
}
