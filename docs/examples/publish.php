<?php
// Publish from PHP, without any extension: php publish.php URL KEYFILE

function publish(string $url, string $key, mixed $data): string
{
    $context = stream_context_create(['http' => [
        'method' => 'POST',
        'header' => [
            "Authorization: Bearer $key",
            'Content-Type: application/json',
        ],
        'content' => json_encode($data, JSON_THROW_ON_ERROR),
        'ignore_errors' => true,
        'timeout' => 10,
    ]]);
    $body = file_get_contents($url, false, $context);
    if ($body === false) {
        throw new RuntimeException("no server answers at $url");
    }
    $answer = json_decode($body, true, 512, JSON_THROW_ON_ERROR);
    if (!isset($answer['cursor'])) {
        throw new RuntimeException("{$answer['code']}: {$answer['detail']}");
    }
    return $answer['cursor'];
}

echo publish($argv[1], trim(file_get_contents($argv[2])), ['from' => 'PHP']), "\n";
