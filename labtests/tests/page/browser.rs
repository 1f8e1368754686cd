//! Drives a real browser: Chromium's DevTools protocol over the pipes of `--remote-debugging-pipe`. The messages are JSON, and
//! each ends with a zero byte, so nothing but the standard library is needed.

use labrpc::time::{Duration, sleep};
use serde_json::{Value, json};
use std::env;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use tempfile::TempDir;

const NAMES: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];

/// A browser with one tab.
pub struct Browser {
    child: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
    session: Option<String>,
    calls: u64,
    /// Errors and warnings of the console, exceptions, and requests that were refused.
    pub problems: Vec<String>,
    /// The profile and the pages.
    folder: TempDir,
}

/// The browser: `$CHROME`, or one of the usual names on the PATH.
fn program() -> Option<PathBuf> {
    if let Some(named) = env::var_os("CHROME").filter(|name| !name.is_empty()) {
        return Some(named.into());
    }
    let path = env::var_os("PATH")?;
    let folders: Vec<_> = env::split_paths(&path).collect();
    NAMES.iter().find_map(|name| folders.iter().map(|f| f.join(name)).find(|file| file.is_file()))
}

impl Browser {
    /// Starts a browser. Without one, says loudly what is skipped; with LAB_BROWSER=required, that is a failure.
    pub fn start(what: &str) -> Option<Browser> {
        let Some(program) = program() else {
            let missing = format!("no browser was found (of {NAMES:?}; $CHROME may name one)");
            let required = env::var("LAB_BROWSER").is_ok_and(|value| value == "required");
            assert!(!required, "{missing}, but LAB_BROWSER=required is set");
            // eprintln! would be captured, because the test passes.
            let _ = writeln!(std::io::stderr(), "\n!!! SKIPPED: {what}: {missing} !!!\n");
            return None;
        };
        Some(Browser::launch(&program))
    }

    fn launch(program: &Path) -> Browser {
        let folder = tempfile::tempdir().expect("a folder for the browser's profile");
        // Chromium reads commands from file descriptor 3 and writes to 4. The shell moves the pipes there.
        let script = r#"exec "$0" "$@" 3<&0 4>&1 </dev/null >/dev/null 2>&1"#;
        let mut child = Command::new("sh")
            .args(["-c", script])
            .arg(program)
            .args(["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run"])
            .args(["--disable-background-networking", "--disable-component-update"])
            .args(["--disable-sync", "--disable-extensions", "--remote-debugging-pipe"])
            .arg(format!("--user-data-dir={}", folder.path().join("profile").display()))
            .arg("about:blank")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a shell starts the browser");
        let to = child.stdin.take().expect("piped");
        let from = BufReader::new(child.stdout.take().expect("piped"));
        let problems = Vec::new();
        let mut browser = Browser { child, to, from, session: None, calls: 0, problems, folder };
        browser.attach();
        browser
    }

    fn attach(&mut self) {
        let targets = self.call("Target.getTargets", json!({}));
        let targets = targets["targetInfos"].as_array().expect("a list of targets");
        let tab = targets.iter().find(|target| target["type"] == "page").expect("a tab");
        let tab = json!({"targetId": tab["targetId"], "flatten": true});
        let session = self.call("Target.attachToTarget", tab);
        self.session = session["sessionId"].as_str().map(String::from);
        for domain in ["Page.enable", "Runtime.enable", "Log.enable"] {
            self.call(domain, json!({}));
        }
        self.resize(1280, 720);
    }

    /// Calls a method of the protocol and waits for its result. Notes problems that the browser tells meanwhile.
    pub fn call(&mut self, method: &str, params: Value) -> Value {
        self.calls += 1;
        let mut message = json!({"id": self.calls, "method": method, "params": params});
        if let Some(session) = &self.session {
            message["sessionId"] = json!(session);
        }
        let mut bytes = message.to_string().into_bytes();
        bytes.push(0);
        self.to.write_all(&bytes).expect("the browser takes commands");
        loop {
            let message = self.read();
            if message["id"] == json!(self.calls) {
                assert!(message["error"].is_null(), "{method}: {}", message["error"]);
                return message["result"].clone();
            }
            self.note(&message);
        }
    }

    fn read(&mut self) -> Value {
        let mut bytes = Vec::new();
        self.from.read_until(0, &mut bytes).expect("the browser answers");
        assert_eq!(bytes.pop(), Some(0), "the browser ended");
        serde_json::from_slice(&bytes).expect("the protocol's messages are JSON")
    }

    fn note(&mut self, message: &Value) {
        let params = &message["params"];
        let problem = match message["method"].as_str() {
            Some("Runtime.exceptionThrown") => Some(params["exceptionDetails"].to_string()),
            Some("Runtime.consoleAPICalled") => {
                let bad = params["type"] == "error" || params["type"] == "warning";
                bad.then(|| params["args"].to_string())
            }
            Some("Log.entryAdded") => Some(params["entry"].to_string()),
            _ => None,
        };
        self.problems.extend(problem);
    }

    /// The size of the window's inside.
    pub fn resize(&mut self, width: u32, height: u32) {
        let size =
            json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false});
        self.call("Emulation.setDeviceMetricsOverride", size);
    }

    /// What the system prefers: light or dark.
    pub fn prefer(&mut self, scheme: &str) {
        let feature = json!({"name": "prefers-color-scheme", "value": scheme});
        self.call("Emulation.setEmulatedMedia", json!({"features": [feature]}));
    }

    /// Opens a page from a file, and waits until it is ready. `hash` begins with "#", or is empty.
    pub fn open(&mut self, html: &str, hash: &str) {
        let file = self.folder.path().join(format!("page{}.html", self.calls));
        std::fs::write(&file, html).expect("the page can be written");
        let url = format!("file://{}{hash}", file.display());
        self.call("Page.navigate", json!({"url": url}));
        for _ in 0..600 {
            let ready = "location.protocol === 'file:' && window.raftlab?.ready === true";
            if self.eval(ready) == json!(true) {
                return self.frame();
            }
            sleep(Duration::from_millis(50));
        }
        panic!("the page is not ready: {:?}", self.problems);
    }

    /// The value of a JavaScript expression, or of the promise that it gives.
    pub fn eval(&mut self, expression: &str) -> Value {
        let params = json!({"expression": expression, "returnByValue": true, "awaitPromise": true});
        let result = self.call("Runtime.evaluate", params);
        let thrown = &result["exceptionDetails"];
        assert!(thrown.is_null(), "{expression}: {thrown}");
        result["result"]["value"].clone()
    }

    /// Waits until what was asked for has been drawn.
    pub fn frame(&mut self) {
        self.eval(
            "new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done(1))))",
        );
    }

    /// A picture of the page, as a PNG in base64.
    #[allow(dead_code, reason = "only the benchmark takes pictures")]
    pub fn picture(&mut self) -> String {
        let picture = self.call("Page.captureScreenshot", json!({"format": "png"}));
        picture["data"].as_str().expect("a picture").to_string()
    }

    fn mouse(&mut self, kind: &str, at: (f64, f64), more: Value) {
        let mut event =
            json!({"type": kind, "x": at.0, "y": at.1, "button": "left", "clickCount": 1});
        for (key, value) in more.as_object().into_iter().flatten() {
            event[key] = value.clone();
        }
        self.call("Input.dispatchMouseEvent", event);
    }

    /// Clicks at a place on the page.
    pub fn click(&mut self, at: (f64, f64)) {
        self.mouse("mousePressed", at, json!({}));
        self.mouse("mouseReleased", at, json!({}));
        self.frame();
    }

    /// Clicks in the middle of the first element that a selector finds.
    pub fn click_on(&mut self, selector: &str) {
        let selector = json!(selector);
        let at = self.eval(&format!(
            "(() => {{ const box = document.querySelector({selector}).getBoundingClientRect(); \
             return {{ x: box.x + box.width / 2, y: box.y + box.height / 2 }}; }})()"
        ));
        self.click(point(&at).expect("the element is somewhere"));
    }

    /// Drags the mouse, with `modifiers` as in the protocol (8: shift).
    pub fn drag(&mut self, from: (f64, f64), to: (f64, f64), modifiers: u32) {
        let held = json!({"modifiers": modifiers, "buttons": 1});
        self.mouse("mousePressed", from, held.clone());
        self.mouse("mouseMoved", ((from.0 + to.0) / 2.0, (from.1 + to.1) / 2.0), held.clone());
        self.mouse("mouseMoved", to, held.clone());
        self.mouse("mouseReleased", to, held);
        self.frame();
    }

    /// Turns the wheel at a place.
    pub fn wheel(&mut self, at: (f64, f64), down: f64) {
        self.mouse("mouseWheel", at, json!({"deltaX": 0, "deltaY": down, "button": "none"}));
        self.frame();
    }

    /// Presses a key, by its name in `KeyboardEvent.key`, such as `j`, `?` or `ArrowDown`.
    pub fn key(&mut self, key: &str) {
        let code = match key {
            "Tab" => 9,
            "Enter" => 13,
            "Escape" => 27,
            " " => 32,
            _ => 0,
        };
        let text = if key.chars().count() == 1 { key } else { "" };
        let text = if key == "Enter" { "\r" } else { text };
        let down =
            json!({"type": "keyDown", "key": key, "text": text, "windowsVirtualKeyCode": code});
        self.call("Input.dispatchKeyEvent", down);
        let up = json!({"type": "keyUp", "key": key, "windowsVirtualKeyCode": code});
        self.call("Input.dispatchKeyEvent", up);
        self.frame();
    }

    /// Types a text into what has the focus.
    pub fn enter(&mut self, text: &str) {
        self.call("Input.insertText", json!({"text": text}));
        self.frame();
    }

    /// What the page says about itself; see docs/PAGE.md.
    pub fn state(&mut self) -> Value {
        self.eval("raftlab.state()")
    }

    /// The text of the first element that a selector finds.
    pub fn text(&mut self, selector: &str) -> String {
        let text = self.eval(&format!("document.querySelector({})?.innerText", json!(selector)));
        text.as_str().unwrap_or_else(|| panic!("{selector} has no text")).to_string()
    }

    /// How many elements a selector finds.
    pub fn count(&mut self, selector: &str) -> u64 {
        let count = format!("document.querySelectorAll({}).length", json!(selector));
        self.eval(&count).as_u64().expect("a count")
    }

    /// Where an event is drawn.
    pub fn position_of(&mut self, event: u64) -> (f64, f64) {
        let at = self.eval(&format!("raftlab.positionOf({event})"));
        point(&at).unwrap_or_else(|| panic!("event {event} is not in view"))
    }

    /// Where an operation's bar is drawn.
    pub fn position_of_operation(&mut self, operation: u64) -> (f64, f64) {
        let at = self.eval(&format!("raftlab.positionOfOperation({operation})"));
        point(&at).unwrap_or_else(|| panic!("operation {operation} is not in view"))
    }
}

fn point(at: &Value) -> Option<(f64, f64)> {
    Some((at["x"].as_f64()?, at["y"].as_f64()?))
}

impl Drop for Browser {
    fn drop(&mut self) {
        // While a test panics, the browser may be gone.
        let _ = self.to.write_all(b"{\"id\":0,\"method\":\"Browser.close\"}\0");
        let _ = std::io::copy(&mut self.from, &mut std::io::sink());
        let _ = self.child.wait();
    }
}
