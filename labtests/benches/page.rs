//! Measures the page of a run with 50,000 events in a real browser: how large the file is, how long it takes until the page is
//! drawn, and how long a zoom takes.
//!
//! ```text
//! cargo bench -p labtests --bench page -- [--events 50000]
//! ```

#[path = "../tests/page/browser.rs"]
#[allow(dead_code, reason = "the tests use the rest")]
mod browser;
#[path = "../tests/page/stories.rs"]
#[allow(dead_code, reason = "the tests use the rest")]
mod stories;

use browser::Browser;
use labtests::report::page;

/// How often each thing is measured.
const TIMES: usize = 9;

/// How long one zoom takes, from the turn of the wheel until the frame is handed over, in ms.
const ZOOM: &str = "new Promise(done => { const began = performance.now(); \
    const box = byId('stage').getBoundingClientRect(); \
    const at = { clientX: box.x + box.width / 2, clientY: box.y + 200, cancelable: true }; \
    byId('stage').dispatchEvent(new WheelEvent('wheel', { deltaY: DELTA, ...at })); \
    requestAnimationFrame(() => requestAnimationFrame(() => done(performance.now() - began))); })";

/// How long the drawing itself takes, with the pixels read back, so that no part of it is put off.
const DRAW: &str = "(() => { const app = raftlab.app; const began = performance.now(); app.draw(); \
    byId('canvas').getContext('2d').getImageData(0, 0, 1, 1); return performance.now() - began; })()";

fn main() {
    let mut args = std::env::args().skip(1).filter(|arg| arg != "--bench").peekable();
    let mut events = 50_000;
    if args.next_if(|arg| arg == "--events").is_some() {
        events = args.next().and_then(|count| count.parse().ok()).expect("--events has a number");
    }
    let Some(mut browser) = Browser::start("the benchmark of the page") else {
        return;
    };
    let html = page(&stories::large(events), "many events");
    println!("{events} events: {:.2} MB", html.len() as f64 / 1e6);
    let mut opened = Vec::new();
    for _ in 0..TIMES {
        browser.open(&html, "");
        browser.frame();
        opened.push(browser.eval("raftlab.openedAfter").as_f64().expect("a time"));
    }
    report("open", opened);
    for (where_from, key) in
        [("at the failure", "f"), ("the whole run", "0"), ("the whole run, by time", "e")]
    {
        browser.key(key);
        let zooms = (0..TIMES).map(|i| {
            let delta = if i % 2 == 0 { "-200" } else { "200" };
            browser.eval(&ZOOM.replace("DELTA", delta)).as_f64().expect("a time")
        });
        report(&format!("zoom, two frames, {where_from}"), zooms.collect());
        let draws = (0..TIMES).map(|_| browser.eval(DRAW).as_f64().expect("a time"));
        report(&format!("drawing alone, {where_from}"), draws.collect());
    }
}

fn report(what: &str, mut times: Vec<f64>) {
    times.sort_by(f64::total_cmp);
    let (median, most) = (times[times.len() / 2], times[times.len() - 1]);
    println!("{what:<36} median {median:>7.1} ms, most {most:>7.1} ms");
}
