//! The page of a run, in a real browser: clicks, keys, search, filters, links, and what the page shows. Without a browser, the
//! tests say loudly what they skip; with LAB_BROWSER=required they fail instead.
#![cfg(unix)]

#[path = "page/browser.rs"]
mod browser;
#[path = "page/states.rs"]
mod states;
#[path = "page/stories.rs"]
mod stories;

use browser::Browser;
use labtests::cli::{Out, Program};
use labtests::lab::Lab;
use labtests::report::page;
use raftlab::kv::{Clerk, KvServer};
use raftlab::raft::Raft;
use serde_json::{Value, json};
use stories::{MARKUP, histories, large, small};

/// Opens a page, lets `test` use it, and checks that the browser's console has no errors.
fn with_page(what: &str, data: &str, hash: &str, test: impl FnOnce(&mut Browser)) {
    let Some(mut browser) = Browser::start(what) else {
        return;
    };
    browser.open(&page(data, "2B backup, seed 7"), hash);
    test(&mut browser);
    assert_eq!(browser.problems, Vec::<String>::new(), "the browser's console");
}

fn selected(browser: &mut Browser) -> u64 {
    browser.state()["selected"].as_u64().expect("an event is selected")
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("{value} is a number"))
}

/// The hash is written a moment after the last change.
fn hash_contains(browser: &mut Browser, words: &str) {
    let contains = format!(
        "new Promise(done => {{ let left = 200; \
         const look = () => location.hash.includes({words}) ? done(true) : \
         left-- > 0 ? setTimeout(look, 20) : done(location.hash); look(); }})",
        words = json!(words)
    );
    assert_eq!(browser.eval(&contains), json!(true), "{words}");
}

#[test]
fn the_failure_is_in_view_when_the_page_opens() {
    let small = small();
    with_page("opening a failed run", &small.json, "", |browser| {
        let state = browser.state();
        assert_eq!(state["selected"], json!(small.failure));
        let at =
            number(&browser.eval(&format!(
                "readStory(byId('story').textContent).events[{}].at",
                small.failure
            )));
        assert!(number(&state["from"]) < at && at < number(&state["to"]), "{state}");
        browser.position_of(small.failure);
        assert_eq!(browser.text("#verdict"), "✖ failed");
        assert!(browser.text("#facts").starts_with("seed 7 · simulated · 3 servers"));
        assert_eq!(browser.text("#failure-line"), "two leaders in term 1 (§5.2, Election Safety)");
        assert_eq!(browser.eval("byId('failure').open"), json!(false));
        browser.click_on("#failure-line");
        assert!(browser.text("#failure-text").contains("S0 and S2 lead\n"));
        assert_eq!(browser.text("#replay"), "raftlab replay 7 backup");
        // From elsewhere, the button and the key f lead back.
        for back in ["#to-failure", ""] {
            browser.key("Home");
            assert_eq!(selected(browser), 0);
            match back {
                "" => browser.key("f"),
                button => browser.click_on(button),
            }
            assert_eq!(selected(browser), small.failure);
        }
    });
}

#[test]
fn a_click_selects_what_is_drawn_there() {
    let small = small();
    with_page("clicks", &small.json, "#even=1", |browser| {
        browser.key("0");
        for event in [small.crash, small.command, small.commit] {
            let at = browser.position_of(event);
            browser.click(at);
            assert_eq!(selected(browser), event);
            assert_eq!(browser.count("#list [aria-selected='true']"), 1);
            let row = browser.text("#list [aria-selected='true']");
            let heading = browser.text("#panel .what");
            assert!(row.contains(heading.lines().last().unwrap()), "{row} is about {heading}");
        }
        // Near its beginning, an arrow is the request; near its end, the arrival. Both belong to the same call.
        let (from, to) = (browser.position_of(small.vote[0]), browser.position_of(small.vote[1]));
        let on_arrow =
            |share: f64| (from.0 + share * (to.0 - from.0), from.1 + share * (to.1 - from.1));
        for (share, event) in [(0.3, small.vote[0]), (0.7, small.vote[1])] {
            browser.click(on_arrow(share));
            assert_eq!(selected(browser), event);
            assert_eq!(browser.state()["related"], json!(small.vote));
            assert_eq!(browser.count("#panel .call li"), 4);
        }
        // From request to reply and round again, by key and by button.
        for event in [small.vote[2], small.vote[3], small.vote[0]] {
            browser.key("c");
            assert_eq!(selected(browser), event);
        }
        browser.click_on("#panel .call li:nth-child(3) button");
        assert_eq!(selected(browser), small.vote[2]);
        browser.key("Escape");
        assert_eq!(browser.state()["selected"], json!(-1));
    });
}

#[test]
fn lost_held_and_duplicated_messages_are_drawn_as_such() {
    let small = small();
    with_page("arrows", &small.json, "#even=1", |browser| {
        browser.key("0");
        let legs = browser.state()["legs"].as_array().expect("a list").clone();
        let of = |call: u64, what: &str| -> Vec<String> {
            let legs = legs.iter().filter(|leg| leg["call"] == json!(call) && leg["what"] == what);
            legs.map(|leg| format!("{} {}", leg["fate"].as_str().unwrap(), leg["dashed"])).collect()
        };
        assert_eq!(of(1, "request"), ["arrived false"]);
        assert_eq!(of(1, "reply"), ["arrived false"]);
        assert_eq!(of(2, "request"), ["lost false"]);
        // Call 3 is duplicated: it arrives and is answered twice, and one reply returns.
        assert_eq!(of(3, "request"), ["arrived false", "arrived false"]);
        assert_eq!(of(3, "reply"), ["open false", "arrived false"]);
        assert_eq!(of(4, "request"), ["arrived true"]);
        assert_eq!(of(5, "request"), ["held true"]);
        // A client is no server, so its call comes from the lane below them.
        assert_eq!(of(7, "request"), ["arrived false"]);
        // The heartbeat is idle, so it is hidden at first.
        assert_eq!(of(6, "request"), Vec::<String>::new());
        let before = browser.state()["shown"].as_u64();
        browser.key("h");
        assert_eq!(browser.state()["shown"].as_u64(), before.map(|shown| shown + 4));
        let mark = browser.position_of(small.lost[1]);
        browser.click(mark);
        assert!(browser.text("#panel").contains("it could not reach its receiver"));
    });
}

#[test]
fn every_key_does_what_the_help_says() {
    let small = small();
    with_page("keys", &small.json, "", |browser| {
        // At a failure, events have even room. From here on, time has.
        assert_eq!(browser.state()["even"], json!(true));
        browser.key("e");
        assert_eq!(browser.state()["even"], json!(false));
        browser.key("Home");
        browser.key("j");
        browser.key("ArrowDown");
        browser.key("k");
        assert_eq!(selected(browser), 1);
        // The same server: S1 starts, then gets the request for its vote.
        browser.key("J");
        assert_eq!(selected(browser), small.vote[1]);
        browser.key("K");
        assert_eq!(selected(browser), 1);
        browser.key("End");
        assert_eq!(selected(browser), small.failure + 1);
        let span = |state: &Value| number(&state["to"]) - number(&state["from"]);
        browser.key("0");
        let whole = browser.state();
        browser.key("+");
        let closer = browser.state();
        assert!(span(&closer) < span(&whole) * 0.7);
        browser.key("ArrowLeft");
        assert!(number(&browser.state()["from"]) < number(&closer["from"]));
        browser.key("ArrowRight");
        browser.key("-");
        assert!((span(&browser.state()) / span(&whole) - 1.0).abs() < 0.02);
        browser.key("?");
        assert_eq!(browser.eval("byId('help').open"), json!(true));
        assert!(browser.text("#help").contains("next event of the same server"));
        browser.key("?");
        assert_eq!(browser.eval("byId('help').open"), json!(false));
        // In a field, letters are letters.
        browser.key("/");
        browser.enter("j");
        assert_eq!(browser.eval("byId('query').value"), json!("j"));
        assert_eq!(selected(browser), small.failure + 1);
    });
}

#[test]
fn filters_hide_events_and_live_in_the_link() {
    let small = small();
    with_page("filters", &small.json, "", |browser| {
        let all = browser.state()["shown"].as_u64().unwrap();
        browser.click_on("#kinds [data-value='vote']");
        assert_eq!(browser.state()["shown"].as_u64(), Some(all - 6));
        browser.click_on("#servers [data-value='2']");
        hash_contains(browser, "servers=0,1,t");
        browser.click_on("#reset");
        assert_eq!(browser.state()["shown"].as_u64(), Some(all));
        browser.click_on("#index");
        browser.enter("1");
        hash_contains(browser, "index=1");
        let about: Vec<Value> = browser
            .eval("[...document.querySelectorAll('#list .text')].map(row => row.innerText)")
            .as_array()
            .unwrap()
            .clone();
        assert!(about.contains(&json!("commits up to index 1")), "{about:?}");
        assert!(!about.contains(&json!("S1 crashes")), "{about:?}");
        browser.eval("location.hash = '#index=2'");
        browser.frame();
        assert_eq!(browser.state()["shown"], json!(1));
        assert!(browser.text("#list").contains("and entry 2"));
        browser.click_on("#term");
        browser.enter("9");
        assert_eq!(browser.state()["shown"], json!(0));
        assert_eq!(browser.text("#list"), "No event passes the filters.");
        browser.click_on("#from");
        browser.enter("abc");
        assert_eq!(browser.eval("byId('from').getAttribute('aria-invalid')"), json!("true"));
    });
}

#[test]
fn a_link_brings_back_what_was_seen() {
    let small = small();
    let hash = "#q=vote&kinds=vote,role&servers=0&term=1&view=150-153&at=4";
    with_page("links", &small.json, hash, |browser| {
        let state = browser.state();
        assert_eq!((number(&state["from"]), number(&state["to"])), (150.0, 153.0));
        assert_eq!(state["selected"], json!(4));
        assert_eq!(browser.eval("byId('query').value"), json!("vote"));
        assert_eq!(browser.eval("byId('term').value"), json!("1"));
        assert_eq!(browser.count("#kinds [aria-pressed='true']"), 2);
        let shown = state["shown"].as_u64();
        browser.eval("location.hash = '#kinds=crash,vote&term=x&at=99999'");
        browser.frame();
        // What makes no sense is left out, and the rest counts.
        assert_eq!(browser.state()["shown"], json!(6));
        assert_ne!(browser.state()["shown"].as_u64(), shown);
    });
}

#[test]
fn a_search_counts_its_hits_and_steps_through_them() {
    let small = small();
    with_page("search", &small.json, "", |browser| {
        browser.key("Home");
        browser.key("/");
        browser.enter("APPEND #3");
        assert_eq!(browser.state()["hits"], json!(6));
        assert!(browser.text("#hits").ends_with("6 hits"));
        browser.key("Enter");
        let first = selected(browser);
        assert_eq!(browser.text("#hits"), "1 of 6 hits");
        assert_eq!(browser.text("#list [aria-selected='true'] mark"), "append #3");
        browser.key("Escape");
        browser.key("n");
        assert!(selected(browser) > first);
        browser.key("N");
        assert_eq!(selected(browser), first);
        // Before the first hit comes the last one.
        browser.key("N");
        assert_eq!(browser.text("#hits"), "6 of 6 hits");
        browser.click_on("#only");
        assert_eq!(browser.state()["shown"], json!(6));
        // The reasons are searched, too.
        browser.click_on("#reset");
        browser.key("/");
        browser.enter("could not reach");
        assert_eq!(browser.state()["hits"], json!(1));
    });
}

#[test]
fn the_panel_shows_every_server_at_that_moment() {
    let small = small();
    let at = |event: u64| format!("#at={event}");
    with_page("states", &small.json, &at(small.commit), |browser| {
        let row = |browser: &mut Browser, server: u64| -> Vec<String> {
            let cells = format!(
                "[...document.querySelectorAll('.states tbody tr')][{server}].innerText \
                 .split('\\t').map(cell => cell.trim())"
            );
            serde_json::from_value(browser.eval(&cells)).expect("a list of texts")
        };
        // role, term, vote, last index, commit, applied, links
        assert_eq!(row(browser, 0), ["S0 ✖", "L", "1", "S0", "1", "1", "?", "up"]);
        assert_eq!(row(browser, 1), ["S1", "F", "1", "S0", "1", "?", "?", "up"]);
        assert_eq!(row(browser, 2), ["S2 ✖", "?", "?", "?", "?", "?", "?", "?"]);
        assert_eq!(browser.count(".states .changed"), 1);
        // Markup in a command is text.
        let command = browser.eval("document.querySelector('.logs .command').textContent");
        assert_eq!(command, json!(MARKUP));
        assert_eq!(browser.count("#panel img, #panel b, #list img, #list b"), 0);
        assert_eq!(browser.eval("document.title"), json!("2B backup, seed 7"));
        assert_eq!(browser.count(".logs td.committed"), 1);
        browser.eval(&format!("location.hash = '{}'", at(small.snapshot)));
        browser.frame();
        assert_eq!(row(browser, 1)[7], "down");
        assert!(browser.text(".logs").contains("▒ 1"));
        assert!(browser.text(".logs").contains("\"two\""));
        assert!(browser.text(".network").contains("partitions S0 from S1, S2"));
    });
}

#[test]
fn the_wheel_zooms_and_a_drag_moves_or_chooses_a_range() {
    let small = small();
    with_page("wheel and drag", &small.json, "", |browser| {
        browser.key("e");
        browser.key("0");
        let whole = browser.state();
        let span = |state: &Value| number(&state["to"]) - number(&state["from"]);
        browser.wheel((500.0, 300.0), -300.0);
        let closer = browser.state();
        assert!(span(&closer) < span(&whole) * 0.8);
        browser.drag((500.0, 420.0), (600.0, 420.0), 0);
        let moved = browser.state();
        assert!(number(&moved["from"]) < number(&closer["from"]));
        assert!((span(&moved) / span(&closer) - 1.0).abs() < 1e-6);
        // With shift, the dragged range fills the window.
        browser.drag((400.0, 420.0), (500.0, 420.0), 8);
        assert!(span(&browser.state()) < span(&moved) * 0.3);
        for (button, shrinks) in [("#zoom-in", true), ("#zoom-out", false)] {
            let before = browser.state();
            browser.click_on(button);
            assert_eq!(span(&browser.state()) < span(&before), shrinks);
        }
        browser.click_on("#fit");
        assert!((span(&browser.state()) / span(&whole) - 1.0).abs() < 1e-6);
    });
}

#[test]
fn light_and_dark_follow_the_system_and_the_switch() {
    let small = small();
    with_page("themes", &small.json, "", |browser| {
        let colours = "[document.documentElement.dataset.theme, getComputedStyle(document.body).backgroundColor, \
            byId('canvas').toDataURL()]";
        browser.prefer("light");
        browser.frame();
        let light = browser.eval(colours);
        browser.prefer("dark");
        browser.frame();
        let dark = browser.eval(colours);
        assert_eq!((&light[0], &dark[0]), (&json!("light"), &json!("dark")));
        assert_ne!(light[1], dark[1]);
        assert_ne!(light[2], dark[2]);
        browser.click_on("#theme");
        assert_eq!(browser.eval(colours), light);
        browser.key("t");
        browser.prefer("light");
        browser.frame();
        assert_eq!(browser.eval(colours), dark);
    });
}

#[test]
fn a_history_alone_is_a_page_too() {
    with_page("histories", &histories(), "", |browser| {
        assert_eq!(browser.text("#verdict"), "✖ failed");
        // The history with an operation that fits nowhere comes first, and this operation is chosen.
        let state = browser.state();
        assert_eq!((&state["key"], &state["operation"]), (&json!("a"), &json!(2)));
        let panel = browser.text("#panel");
        assert!(panel.contains("No order of these operations explains this."), "{panel}");
        assert!(panel.contains("fits nowhere"), "{panel}");
        assert_eq!(browser.count("#list:not([hidden])"), 1);
        assert_eq!(browser.eval("byId('list').offsetHeight"), json!(0));
        for (operation, words) in
            [(1, "place 2 in the order"), (4, "never returned"), (2, "fits nowhere")]
        {
            let at = browser.position_of_operation(operation);
            browser.click(at);
            assert_eq!(browser.state()["operation"], json!(operation));
            assert!(browser.text("#panel").contains(words));
        }
        // The keys step through the operations in the order of their calls: 0, 1, 3, 2, 4.
        for (key, operation) in [("j", 4), ("j", 4), ("k", 2), ("ArrowUp", 3)] {
            browser.key(key);
            assert_eq!(browser.state()["operation"], json!(operation));
        }
        assert_eq!(browser.count("#key option"), 2);
        browser.eval("byId('key').value = '0'; byId('key').dispatchEvent(new Event('change'))");
        browser.frame();
        assert_eq!(browser.state()["key"], json!("b"));
        assert!(browser.text("#panel").to_lowercase().contains("on key b: linearizable"));
    });
}

#[test]
fn data_that_cannot_be_shown_is_said_in_words() {
    let Some(mut browser) = Browser::start("damaged data") else {
        return;
    };
    let event = |event: &str| {
        format!(
            r#"{{"head":{{"schema":"raftlab-story/1","servers":2}},"strings":[],"events":[{event}],"histories":[]}}"#
        )
    };
    for (data, words) in [
        ("{\"head\"".to_string(), "it is not JSON"),
        ("[]".to_string(), "it has no head"),
        (
            r#"{"head":{"schema":"raftlab-story/9","servers":1}}"#.to_string(),
            "says \"raftlab-story/9\"",
        ),
        (r#"{"head":{"schema":"raftlab-story/1"}}"#.to_string(), "how many servers"),
        (event(r#"{"kind":"vote"}"#), "event 0 has no time"),
        (event(r#"{"at":2,"kind":"vote"},{"at":1,"kind":"vote"}"#), "event 1 is earlier"),
        (event(r#"{"at":2,"kind":"vote","server":2}"#), "names server 2 of 2"),
        (
            event(r#"{"at":2,"kind":"vote","state":[{"server":-1}]}"#),
            "a server that does not exist",
        ),
        (event("7"), "event 0 is not an object"),
        (event(r#"{"at":2,"kind":"vote","state":{}}"#), "event 0 has a state that is not a list"),
    ] {
        browser.open(&page(&data, "damaged"), "");
        let text = browser.text("#main");
        assert!(text.contains(words), "{data}: {text}");
    }
    // An empty run is no damage, and a kind that this page does not know is an event like others.
    browser.open(&page(&event(""), "empty"), "");
    assert_eq!(browser.text("#list"), "This page has no events.");
    browser.open(&page(&event(r#"{"at":2,"kind":"dream","text":"?"}"#), "unknown kind"), "");
    assert_eq!(browser.state()["shown"], json!(1));
    assert_eq!(browser.problems, Vec::<String>::new(), "the browser's console");
}

#[test]
fn many_events_are_bars_from_afar_and_arrows_from_near() {
    let data = large(20_000);
    with_page("many events", &data, "", |browser| {
        assert_eq!(browser.state()["dense"], json!(false));
        assert!(browser.state()["arrows"].as_u64() > Some(5));
        browser.key("0");
        assert_eq!(browser.state()["dense"], json!(true));
        let rows = browser.count("#list .row");
        assert!((5..100).contains(&rows), "{rows} rows are in the document");
        assert!(browser.eval("byId('rows').offsetHeight").as_u64() > Some(100_000));
        // Where there are only bars, a click selects the nearest event of the lane.
        browser.key("Escape");
        let (x, y) = browser.position_of(10_000);
        browser.click((x, y - 15.0));
        let found = selected(browser);
        let (near, same) = browser.position_of(found);
        assert!((near - x).abs() <= 8.0 && (same - y).abs() < 30.0, "{near} {same}");
        assert_eq!(browser.count("#list [aria-selected='true']"), 1);
        browser.key("PageDown");
        browser.key("PageUp");
        assert_eq!(selected(browser), found);
    });
}

/// The page keeps copies of the states every thousand events. Whatever it shows must be what all changes before give.
#[test]
fn states_are_the_sum_of_all_changes_before() {
    for data in [small().json, large(5_000)] {
        let events = states::events(&data);
        with_page("states of servers", &data, "", |browser| {
            let last = events.len() as u64 - 1;
            let mut dice = stories::Dice(3);
            let some = (0..12).map(|_| dice.below(last)).chain([0, last]);
            for n in some.chain([999, 1000, 1001].into_iter().filter(|n| *n < last)) {
                let shown = browser.eval(&format!("raftlab.serversAfter({n})"));
                assert_eq!(shown, states::after(&events, n), "after event {n}");
            }
        });
    }
}

#[test]
fn the_keyboard_alone_reaches_everything() {
    let small = small();
    with_page("the keyboard alone", &small.json, "", |browser| {
        let mut reached = Vec::new();
        for _ in 0..60 {
            browser.key("Tab");
            let id = browser.eval(
                "(({ id, dataset, tagName }) => id || dataset.value || tagName)(document.activeElement)",
            );
            reached.push(id.as_str().unwrap_or_default().to_string());
        }
        for id in [
            "copy",
            "theme",
            "help-button",
            "query",
            "vote",
            "term",
            "fit",
            "stage",
            "list",
            "panel",
        ] {
            assert!(reached.iter().any(|one| one == id), "{id} is not in {reached:?}");
        }
        browser.eval("byId('list').focus()");
        browser.key("ArrowUp");
        let row = browser.eval("byId('list').getAttribute('aria-activedescendant')");
        assert_eq!(row, json!(format!("row-{}", selected(browser))));
        // A button of the panel keeps the focus, although the panel is drawn anew.
        let before = selected(browser);
        browser.eval("document.querySelector('[aria-label=\"Previous event of all\"]').focus()");
        browser.key("Enter");
        browser.key("Enter");
        assert_eq!(selected(browser), before - 2);
        let names = "[...document.querySelectorAll('button, input, select, [role]')] \
            .filter(one => one.checkVisibility() && one.role !== 'option') \
            .filter(one => !one.getAttribute('aria-label') && !one.innerText && !one.title) \
            .filter(one => !one.labels?.length).map(one => one.outerHTML)";
        assert_eq!(browser.eval(names), json!([]), "elements without a name");
    });
}

#[test]
fn nothing_overflows_on_a_laptop_or_a_large_screen() {
    let small = small();
    with_page("sizes", &small.json, "", |browser| {
        for (width, height) in [(1280, 720), (1920, 1080), (1024, 640)] {
            browser.resize(width, height);
            browser.frame();
            let size =
                "[document.documentElement.scrollWidth, document.documentElement.scrollHeight]";
            assert_eq!(browser.eval(size), json!([width, height]));
            assert!(browser.eval("byId('stage').offsetHeight").as_u64() > Some(200));
            assert!(browser.eval("byId('list').offsetHeight").as_u64() > Some(80));
        }
    });
}

/// The pages that a command writes with `--report`, with their names.
fn drawn(lab: Lab, args: &[&str]) -> Vec<(String, String)> {
    let folder = tempfile::tempdir().unwrap();
    let into = folder.path().display().to_string();
    let args = ["lab"].into_iter().chain(args.iter().copied()).chain(["--report", &into]);
    let args: Vec<_> = args.map(String::from).collect();
    Program::new(lab).run(args, Out::new(std::io::sink()));
    let files = std::fs::read_dir(folder.path()).unwrap().map(|file| file.unwrap().path());
    let mut pages: Vec<_> = files
        .map(|path| {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            (name, std::fs::read_to_string(path).unwrap())
        })
        .collect();
    pages.sort();
    pages
}

#[test]
fn pages_that_the_command_writes_are_shown() {
    let Some(mut browser) = Browser::start("pages of real runs") else {
        return;
    };
    let lab = Lab::new().raft(Raft::make).kv(KvServer::on(labtests::make(Raft::make)), Clerk::new);
    let history = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(
        history.path(),
        "{\"client\": 0, \"call\": 0, \"return\": 5, \"op\": \"put\", \"key\": \"x\", \"value\": \"1\"}\n\
         {\"client\": 1, \"call\": 6, \"return\": 9, \"op\": \"get\", \"key\": \"x\", \"output\": \"\"}\n",
    )
    .unwrap();
    let history = history.path().to_str().unwrap().to_string();
    for (args, name, operations) in [
        (&["replay", "1", "rejoin"][..], "2B-rejoin-seed-1.html", 0),
        (&["kv_basic", "--report-all"], "3A-kv_basic-seed-1.html", 1),
        (&["check", &history], "history.html", 2),
    ] {
        let pages = drawn(lab.clone(), args);
        let [(written, page)] = &pages[..] else { panic!("{args:?}: {} pages", pages.len()) };
        assert_eq!(written, name);
        browser.open(page, "");
        let shown = browser.eval(
            "(() => { const story = readStory(byId('story').textContent); \
             const sizes = story.histories.map(it => it.operations.length); \
             return {events: story.events.length, operations: sizes.reduce((a, b) => a + b, 0)}; })()",
        );
        assert_eq!(shown["events"].as_u64() > Some(0), args[0] != "check", "{name}: {shown}");
        assert!(shown["operations"].as_u64() >= Some(operations), "{name}: {shown}");
        browser.key("End");
        assert_eq!(browser.problems, Vec::<String>::new(), "{name}");
    }
}
