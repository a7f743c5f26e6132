<?php
/* PHP's session handler with locking, on the server at argv[1] (host:port):
 * the session argv[2] is opened, counted up argv[3] times, closed each time.
 * Prints the count it came to, or what went wrong. */

ini_set('session.save_handler', 'memcached');
ini_set('session.save_path', $argv[1]);
ini_set('session.use_cookies', '0');
ini_set('session.cache_limiter', '');
ini_set('memcached.sess_locking', '1');
ini_set('memcached.sess_lock_wait_min', '1');
ini_set('memcached.sess_lock_wait_max', '20');
ini_set('memcached.sess_lock_retries', '2000');
ini_set('memcached.sess_binary_protocol', $argv[4] ?? '0');

for ($i = 0; $i < (int) $argv[3]; $i++) {
    session_id($argv[2]);
    if (!session_start()) {
        echo "no session\n";
        exit(1);
    }
    $_SESSION['count'] = ($_SESSION['count'] ?? 0) + 1;
    $count = $_SESSION['count'];
    session_write_close();
}
echo "$count\n";
