<?php
// The two classic handlers of integrators: a router for php -S. CRest::call and
// CRest::callBatch do what the class of Bitrix24 does with a webhook: one form by POST,
// at most 50 commands in a batch without an error for the others, errors in the body.
//
// PLANTED=1 adds mistakes: rows named "Glass" are forgotten, sums above 1000 are cut to
// whole numbers, and the total of an invoice whose title has "cash" is never updated.
final class CRest {
	const BATCH_COUNT = 50;

	public static function call(string $method, array $params = []): array {
		$request = curl_init(getenv('PORTAL') . $method . '.json');
		curl_setopt_array($request, [
			CURLOPT_RETURNTRANSFER => true, CURLOPT_FOLLOWLOCATION => true, CURLOPT_POSTREDIR => 10,
			CURLOPT_USERAGENT => 'Bitrix24 CRest PHP 1.36',
		]);
		if ($params) {
			curl_setopt($request, CURLOPT_POST, true);
			curl_setopt($request, CURLOPT_POSTFIELDS, http_build_query($params));
		}
		$result = json_decode((string)curl_exec($request), true) ?? ['error' => 'no answer'];
		if (!empty($result['error'])) {
			error_log("$method: " . json_encode($result));
		}
		return $result;
	}

	public static function callBatch(array $commands, int $halt = 0): array {
		$cmd = [];
		foreach ($commands as $key => $command) {
			if (count($cmd) < self::BATCH_COUNT) {
				$cmd[$key] = $command['method'] . '?' . http_build_query($command['params']);
			}
		}
		return $cmd ? self::call('batch', ['halt' => $halt, 'cmd' => $cmd]) : [];
	}
}

define('LISTS', ['IBLOCK_TYPE_ID' => 'lists', 'IBLOCK_ID' => getenv('LIST')]);
define('PLANTED', getenv('PLANTED') === '1');

function getDealProducts(int $dealId): array {
	return CRest::call('crm.deal.productrows.get', ['id' => $dealId])['result'] ?? [];
}

function getListElements(int $dealId): array {
	$all = [];
	for ($start = 0; $start !== null; $start = $page['next'] ?? null) {
		$page = CRest::call('lists.element.get', LISTS + ['FILTER' => ['=PROPERTY_101' => $dealId], 'start' => $start]);
		$all = array_merge($all, $page['result'] ?? []);
	}
	return $all;
}

function property(array $element, string $name): ?string {
	return isset($element[$name]) ? (string)reset($element[$name]) : null;
}

function fieldsOf(int $dealId, array $row): array {
	$quantity = (float)$row['QUANTITY'];
	$sum = round($row['PRICE'] * $quantity, 2);
	if (PLANTED && $sum > 1000) {
		$sum = floor($sum);
	}
	return [
		'NAME' => $row['PRODUCT_NAME'] . ' × ' . $quantity, 'PROPERTY_101' => $dealId, 'PROPERTY_102' => (int)$row['PRODUCT_ID'],
		'PROPERTY_103' => $quantity, 'PROPERTY_105' => $sum,
	];
}

function addToListBatch(int $dealId, array $rows): void {
	$commands = [];
	foreach ($rows as $row) {
		$commands[] = ['method' => 'lists.element.add', 'params' => LISTS + ['ELEMENT_CODE' => uniqid("deal-$dealId-", true), 'FIELDS' => fieldsOf($dealId, $row)]];
	}
	CRest::callBatch($commands);
}

function deleteFromListBatch(array $elements): void {
	CRest::callBatch(array_map(fn($e) => ['method' => 'lists.element.delete', 'params' => LISTS + ['ELEMENT_ID' => $e['ID']]], $elements));
}

// An update clears what it does not name, so it sends the columns of people too.
function updateInListBatch(int $dealId, array $pairs): void {
	$commands = [];
	foreach ($pairs as [$element, $row]) {
		$fields = fieldsOf($dealId, $row);
		$same = $element['NAME'] === $fields['NAME'];
		foreach (['PROPERTY_102', 'PROPERTY_103', 'PROPERTY_105'] as $name) {
			$same = $same && (float)property($element, $name) === (float)$fields[$name];
		}
		foreach (['PROPERTY_104', 'PROPERTY_106', 'PROPERTY_107'] as $name) {
			if (isset($element[$name])) {
				$fields[$name] = $element[$name];
			}
		}
		if (!$same) {
			$commands[] = ['method' => 'lists.element.update', 'params' => LISTS + ['ELEMENT_ID' => $element['ID'], 'FIELDS' => $fields]];
		}
	}
	CRest::callBatch($commands);
}

function syncDealProductsWithList(int $dealId, array $rows, array $elements): void {
	$new = $pairs = [];
	foreach ($rows as $row) {
		if (PLANTED && $row['PRODUCT_NAME'] === 'Glass') {
			continue;
		}
		$found = null;
		foreach ($elements as $key => $element) {
			if ((int)property($element, 'PROPERTY_102') === (int)$row['PRODUCT_ID'] && str_starts_with($element['NAME'], $row['PRODUCT_NAME'] . ' × ')) {
				$found = $key;
				break;
			}
		}
		if ($found === null) {
			$new[] = $row;
			continue;
		}
		$pairs[] = [$elements[$found], $row];
		unset($elements[$found]);
	}
	addToListBatch($dealId, $new);
	updateInListBatch($dealId, $pairs);
	deleteFromListBatch(array_values($elements));
}

function writeInvoiceTotal(int $id): void {
	$rows = CRest::call('crm.item.productrow.list', ['filter' => ['=ownerType' => 'SI', '=ownerId' => $id]]);
	$total = 0;
	foreach ($rows['result']['productRows'] ?? [] as $row) {
		$total += $row['price'] * $row['quantity'];
	}
	$type = ['entityTypeId' => getenv('TYPE')];
	$helpers = CRest::call('crm.item.list', $type + ['filter' => ['ufCrm5InvoiceId' => $id]])['result']['items'] ?? [];
	if (!$helpers) {
		CRest::call('crm.item.add', $type + ['fields' => ['title' => "Invoice $id", 'ufCrm5InvoiceId' => $id, 'ufCrm5Total' => round($total, 2)]]);
		return;
	}
	$invoice = CRest::call('crm.item.get', ['entityTypeId' => 31, 'id' => $id])['result']['item'] ?? [];
	if (PLANTED && str_contains($invoice['title'] ?? '', 'cash')) {
		return;
	}
	CRest::call('crm.item.update', $type + ['id' => $helpers[0]['id'], 'fields' => ['ufCrm5Total' => round($total, 2)]]);
}

$id = (int)($_REQUEST['data']['FIELDS']['ID'] ?? 0);
switch ($_REQUEST['event'] ?? '') {
	case 'ONCRMDEALADD':
	case 'ONCRMDEALUPDATE':
		syncDealProductsWithList($id, getDealProducts($id), getListElements($id));
		break;
	case 'ONCRMDEALDELETE':
		deleteFromListBatch(getListElements($id));
		break;
	case 'ONCRMDYNAMICITEMADD':
	case 'ONCRMDYNAMICITEMUPDATE':
		if ((int)$_REQUEST['data']['FIELDS']['ENTITY_TYPE_ID'] === 31) {
			writeInvoiceTotal($id);
		}
}
