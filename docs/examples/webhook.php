<?php
// A backend in PHP that has a say in what comet's clients do: php -S 127.0.0.1:8000 webhook.php

/** Tell whether comet has sent a request just now, as Standard Webhooks says. */
function isFromComet(string $id, string $timestamp, string $signature, string $body, array $secrets): bool
{
    if (!ctype_digit($timestamp) || abs(time() - (int) $timestamp) > 300) {
        return false;
    }
    foreach ($secrets as $secret) {
        $key = base64_decode(substr($secret, strlen('whsec_')));
        $made = 'v1,' . base64_encode(hash_hmac('sha256', "$id.$timestamp.$body", $key, true));
        foreach (explode(' ', $signature) as $given) {
            if (hash_equals($made, $given)) {
                return true;
            }
        }
    }
    return false;
}

$secrets = preg_split('/\s+/', trim(file_get_contents(getenv('COMET_HOOK_SECRET') ?: 'comet.hook')));
$body = file_get_contents('php://input');
if (!isFromComet($_SERVER['HTTP_WEBHOOK_ID'] ?? '', $_SERVER['HTTP_WEBHOOK_TIMESTAMP'] ?? '',
                 $_SERVER['HTTP_WEBHOOK_SIGNATURE'] ?? '', $body, $secrets)) {
    http_response_code(401);
    exit;
}
$asked = json_decode($body, true);
$answer = new stdClass();
if ($asked['type'] === 'publish' && $asked['client'] === 'mallory') {
    $answer = ['error' => ['code' => 'forbidden', 'message' => 'you are muted']];
} elseif ($asked['type'] === 'publish' && is_string($asked['data'])) {
    $answer = ['data' => str_ireplace('heck', '****', $asked['data'])];
} elseif ($asked['type'] === 'subscribe') {
    $answer = ['since' => '-10', 'expires' => 3600];
} elseif ($asked['type'] === 'call') {
    $answer = ['data' => ['method' => $asked['method'], 'client' => $asked['client']]];
}
header('Content-Type: application/json');
echo json_encode($answer);
