//! nginx and Varnish as caches, each with a folder of its own.

use std::{fs, net::SocketAddr, path::Path, process::Command};

use programs::{Program, find};
use tempfile::TempDir;

/// A running cache. It says in `X-Cache-Status` whether an answer is a stored one.
pub struct Cache {
    pub address: SocketAddr,
    _program: Program,
    _directory: TempDir,
}

impl Cache {
    fn start(command: impl Fn(SocketAddr, &Path) -> Command) -> Self {
        let directory = TempDir::new().unwrap();
        let (place, log) = (directory.path(), directory.path().join("log"));
        let (program, address) = Program::listening(|address| command(address, place), &log);
        Self { address, _program: program, _directory: directory }
    }
}

pub fn nginx(app: SocketAddr) -> Cache {
    Cache::start(|address, directory| {
        let place = directory.display();
        let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|kind| format!("{kind}_temp_path {place}/{kind};"))
            .join(" ");
        let config = format!(
            "daemon off; master_process off; pid {place}/pid; error_log stderr error;
             events {{}}
             http {{
                 access_log off; {temporary}
                 proxy_cache_path {place}/cache keys_zone=shared:10m;
                 upstream app {{ server {app}; keepalive 8; }}
                 server {{
                     listen {address};
                     location / {{
                         proxy_pass http://app;
                         proxy_http_version 1.1;
                         proxy_set_header Connection '';
                         proxy_set_header Host $http_host;
                         proxy_cache shared;
                         proxy_cache_key $request_method$request_uri;
                         proxy_cache_methods GET HEAD POST;
                         proxy_cache_valid any 1h;
                         proxy_ignore_headers Set-Cookie;
                         add_header X-Cache-Status $upstream_cache_status always;
                     }}
                 }}
             }}"
        );
        fs::write(directory.join("nginx.conf"), config).unwrap();
        let mut command = Command::new(find("nginx", "nginx-light"));
        command.arg("-e").arg("stderr").arg("-p").arg(directory).arg("-c").arg("nginx.conf");
        command
    })
}

pub fn varnish(app: SocketAddr) -> Cache {
    Cache::start(|address, directory| {
        // Without the rules for cookies that are built in. It stores no answers to posts.
        let config = format!(
            "vcl 4.1;
             backend app {{ .host = \"{}\"; .port = \"{}\"; }}
             sub vcl_req_cookie {{ return; }}
             sub vcl_beresp_cookie {{ return; }}
             sub vcl_backend_response {{ if (beresp.ttl < 0s) {{ set beresp.ttl = 1h; }} }}
             sub vcl_deliver {{
                 if (obj.hits > 0) {{ set resp.http.X-Cache-Status = \"HIT\"; }}
                 else {{ set resp.http.X-Cache-Status = \"MISS\"; }}
             }}",
            app.ip(),
            app.port()
        );
        let file = directory.join("cache.vcl");
        fs::write(&file, config).unwrap();
        let mut command = Command::new(find("varnishd", "varnish"));
        command.args(["-F", "-j", "none", "-s", "malloc,64m", "-a", &address.to_string()]);
        command.arg("-n").arg(directory.join("state")).arg("-f").arg(file);
        command
    })
}
