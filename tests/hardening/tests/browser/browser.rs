//! Chromium, with a profile of its own, as `ChromeDriver` drives it.

use std::{
    env, fs,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    path::Path,
    process::Command,
    rc::Rc,
    thread,
    time::Duration,
};

use fantoccini::{Client, ClientBuilder, Locator};
use hardening::program::{Program, find};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::site::{APP, Site};

/// How long a browser on a busy machine may take for anything.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Chromium at the app.
pub struct Browser {
    pub client: Client,
    pub site: Site,
    _driver: Driver,
    // After the driver: what it and its browser leave goes when both have ended.
    _place: TempDir,
}

/// Runs a test in a new browser at a new app. What the browser shows when it fails is kept as a
/// picture.
pub async fn in_browser<T: AsyncFnOnce(Rc<Browser>) + 'static>(test: T) {
    let browser = Rc::new(Browser::start().await);
    let subject = Rc::clone(&browser);
    let ended = actix_web::rt::spawn(async move { test(subject).await }).await;
    if let Err(failure) = ended {
        let name = thread::current().name().unwrap_or("browser").replace("::", "-");
        let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name).with_extension("png");
        match browser.client.screenshot().await {
            Ok(picture) => fs::write(&file, picture).unwrap(),
            Err(error) => eprintln!("no picture of the browser: {error}"),
        }
        eprintln!("the browser showed {}", file.display());
        std::panic::resume_unwind(failure.into_panic());
    }
}

impl Browser {
    async fn start() -> Self {
        let site = Site::start().await;
        let place = TempDir::new().unwrap();
        let driver = Driver::start(place.path());
        let data = format!("--user-data-dir={}", place.path().join("profile").display());
        let capabilities = json!({ "goog:chromeOptions": {
            "binary": find("chromium", "chromium"),
            "args": [
                "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
                "--disable-background-networking", "--disable-component-update", "--disable-sync",
                "--host-resolver-rules=MAP * 127.0.0.1", data,
            ],
            // Debian's refuses cookies of third parties, which would hide what `SameSite` does.
            "prefs": { "profile.cookie_controls_mode": 0 },
        }});
        let Value::Object(capabilities) = capabilities else { unreachable!("an object") };
        let client = ClientBuilder::new(HttpConnector::new())
            .capabilities(capabilities)
            .connect(&format!("http://{}", driver.address))
            .await
            .unwrap();
        Self { client, site, _driver: driver, _place: place }
    }

    /// Goes to an address as if somebody had typed it.
    pub async fn open(&self, host: &str, path: &str) {
        self.client.goto(&self.site.url(host, path)).await.unwrap();
    }

    /// What a script returns in the page that is open.
    pub async fn script(&self, script: &str) -> Value {
        self.client.execute(script, vec![]).await.unwrap()
    }

    /// The same for one that waits.
    pub async fn async_script(&self, script: &str) -> Value {
        let script = format!(
            "const done = arguments[0]; (async () => {{ {script} }})().then(done, \
             error => done(String(error)))"
        );
        self.client.execute_async(&script, vec![]).await.unwrap()
    }

    /// The text of the page that is open.
    pub async fn text(&self) -> String {
        let text = self.script("return document.body.innerText.trim()").await;
        text.as_str().unwrap().to_owned()
    }

    /// The text of a page of the app.
    pub async fn read(&self, path: &str) -> String {
        self.open(APP, path).await;
        self.text().await
    }

    /// Waits until a page of the app is open.
    pub async fn arrives(&self, path: &str) {
        let url = self.site.url(APP, path).parse().unwrap();
        let waiting = self.client.wait().at_most(PATIENCE).every(Duration::from_millis(20));
        waiting.for_url(&url).await.unwrap();
    }

    pub async fn click(&self, css: &str) {
        self.client.find(Locator::Css(css)).await.unwrap().click().await.unwrap();
    }

    /// Signs in by the form of the page that is open.
    pub async fn fill_in(&self, user: i64) {
        let field = self.client.find(Locator::Css("input[name=user]")).await.unwrap();
        field.send_keys(&user.to_string()).await.unwrap();
        self.click("#login").await;
    }

    /// Signs out by the button of the page that is open.
    pub async fn log_out(&self) {
        self.click("#logout").await;
        self.arrives("/logout").await;
        assert_eq!(self.text().await, "out");
    }

    /// Signs in by the app's form.
    pub async fn log_in(&self, user: i64) {
        self.open(APP, "/login").await;
        self.fill_in(user).await;
        self.arrives("/page").await;
    }

    /// How many session cookies the jar holds for the page that is open.
    pub async fn session_cookies(&self) -> usize {
        let cookies = self.client.get_all_cookies().await.unwrap();
        cookies.iter().filter(|cookie| cookie.name() == "__Host-session").count()
    }
}

/// `ChromeDriver`, which ends its browser when it is asked to end.
struct Driver {
    address: SocketAddr,
    program: Program,
}

impl Driver {
    /// Starts it, with this directory for what it makes.
    fn start(temporary: &Path) -> Self {
        let mut command = Command::new(find("chromedriver", "chromium-driver"));
        command.arg("--port=0").env("TMPDIR", temporary);
        let (program, address) =
            Program::naming_its_port(&mut command, "was started successfully on port ");
        Self { address, program }
    }

    fn shut_down(&self) -> std::io::Result<()> {
        let mut stream = TcpStream::connect(self.address)?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        stream
            .write_all(b"GET /shutdown HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
        stream.read_to_end(&mut Vec::new()).map(drop)
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        let asked = self.shut_down();
        // It ends its browser before itself, and takes away what both have made.
        if asked.is_err() || !self.program.ends() {
            eprintln!("chromedriver may have left its browser running: asked to end: {asked:?}");
        }
    }
}
