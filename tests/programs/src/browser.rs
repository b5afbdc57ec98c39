//! Chromium, with a profile of its own, as `ChromeDriver` drives it.

use std::{
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    panic::{AssertUnwindSafe, resume_unwind},
    path::Path,
    process::Command,
    thread,
    time::Duration,
};

use fantoccini::{
    Client, ClientBuilder, Locator, elements::Element, wd::WebDriverCompatibleCommand,
};
use futures_util::FutureExt;
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use tempfile::TempDir;
use url::{ParseError, Url};

use crate::program::{Program, find};

/// How long a browser on a busy machine may take for anything.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Chromium with an empty profile: a device of its own.
#[derive(Debug)]
pub struct Browser {
    /// For what is not said shorter below.
    pub client: Client,
    _driver: Driver,
    // After the driver: what it and its browser leave goes when both have ended.
    _place: TempDir,
}

/// What a page is looked at with.
#[derive(Debug, Clone, Copy)]
pub enum Screen {
    /// 390 pixels wide.
    Phone,
    /// 1280 pixels wide.
    Desktop,
    /// The same for who prefers dark colours.
    DesktopAtNight,
}

impl Browser {
    /// Starts it. Without Chromium and its driver the test fails, and says what to install.
    pub async fn start() -> Self {
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
        Self { client, _driver: driver, _place: place }
    }

    /// Goes to an address as if somebody had typed it.
    pub async fn open(&self, url: &str) {
        self.client.goto(url).await.unwrap();
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

    /// Waits until this page is open.
    pub async fn arrives(&self, url: &str) {
        let waiting = self.client.wait().at_most(PATIENCE).every(Duration::from_millis(20));
        waiting.for_url(&url.parse().unwrap()).await.unwrap();
    }

    /// Waits until there is such an element.
    pub async fn sees(&self, css: &str) -> Element {
        let waiting = self.client.wait().at_most(PATIENCE).every(Duration::from_millis(20));
        waiting.for_element(Locator::Css(css)).await.unwrap()
    }

    /// Clicks on the first such element.
    pub async fn click(&self, css: &str) {
        self.client.find(Locator::Css(css)).await.unwrap().click().await.unwrap();
    }

    /// Types into a field.
    pub async fn type_in(&self, css: &str, text: &str) {
        self.client.find(Locator::Css(css)).await.unwrap().send_keys(text).await.unwrap();
    }

    /// A command of `ChromeDriver`'s own, such as `webauthn/authenticator`, and what it answers.
    pub async fn command(&self, path: &'static str, body: Value) -> Value {
        self.client.issue_cmd(DriverCommand { path, body }).await.unwrap()
    }

    /// A command of the protocol of Chromium's developer tools.
    pub async fn developer_tools(&self, command: &str, parameters: Value) -> Value {
        let body = json!({ "cmd": command, "params": parameters });
        self.command("goog/cdp/execute", body).await
    }

    /// Keeps a picture of the whole page as it is on a screen.
    pub async fn picture(&self, screen: Screen, file: &Path) {
        let (width, color_scheme) = match screen {
            Screen::Phone => (390, "light"),
            Screen::Desktop => (1280, "light"),
            Screen::DesktopAtNight => (1280, "dark"),
        };
        let features = json!([{ "name": "prefers-color-scheme", "value": color_scheme }]);
        self.developer_tools("Emulation.setEmulatedMedia", json!({ "features": features })).await;
        self.resize(width, 1).await;
        let height = self.script("return document.documentElement.scrollHeight").await;
        self.resize(width, height.as_u64().unwrap().max(600)).await;
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, self.client.screenshot().await.unwrap()).unwrap();
        self.developer_tools("Emulation.setEmulatedMedia", json!({ "features": [] })).await;
        self.developer_tools("Emulation.clearDeviceMetricsOverride", json!({})).await;
    }

    async fn resize(&self, width: u64, height: u64) {
        let size = json!({
            "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600,
        });
        self.developer_tools("Emulation.setDeviceMetricsOverride", size).await;
    }
}

/// Runs a test, and keeps what these browsers show when it fails as pictures in `directory`.
pub async fn keeping_pictures(
    browsers: &[&Browser],
    directory: &Path,
    test: impl Future<Output = ()>,
) {
    let Err(failure) = AssertUnwindSafe(test).catch_unwind().await else { return };
    let name = thread::current().name().unwrap_or("browser").replace("::", "-");
    for (number, browser) in browsers.iter().enumerate() {
        let file = directory.join(format!("{name}-{number}.png"));
        match browser.client.screenshot().await {
            Ok(picture) => fs::write(&file, picture).unwrap(),
            Err(error) => eprintln!("no picture of the browser: {error}"),
        }
        eprintln!("the browser showed {}", file.display());
    }
    resume_unwind(failure);
}

/// What is asked of `ChromeDriver` itself, below the address of the browser's session.
#[derive(Debug)]
struct DriverCommand {
    path: &'static str,
    body: Value,
}

impl WebDriverCompatibleCommand for DriverCommand {
    fn endpoint(&self, base: &Url, session: Option<&str>) -> Result<Url, ParseError> {
        base.join(&format!("session/{}/{}", session.unwrap_or_default(), self.path))
    }

    fn method_and_body(&self, _: &Url) -> (http::Method, Option<String>) {
        (http::Method::POST, Some(self.body.to_string()))
    }
}

/// `ChromeDriver`, which ends its browser when it is asked to end.
#[derive(Debug)]
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
