//! The states of servers after an event, found in the simplest way: all changes from the beginning. What the page shows is compared
//! with this.

use serde_json::{Map, Value, json};

const FACTS: [&str; 7] = ["role", "term", "vote", "commit", "applied", "alive", "connected"];

/// The events of a page's data.
pub fn events(data: &str) -> Vec<Value> {
    let data: Value = serde_json::from_str(data).expect("JSON");
    data["events"].as_array().expect("a list").clone()
}

/// The servers after event `n`, as the page's `serversAfter` gives them. All logs begin at index 1 or with a snapshot.
pub fn after(events: &[Value], n: u64) -> Value {
    let changes = |event: &Value| event["state"].as_array().cloned().unwrap_or_default();
    let number = |change: &Value| change["server"].as_u64().expect("a server") as usize;
    let all = events.iter().flat_map(changes);
    let servers = all.map(|change| number(&change)).max().expect("some server changes") + 1;
    let mut states = vec![Map::new(); servers];
    for change in events.iter().take(n as usize + 1).flat_map(changes) {
        let state = &mut states[number(&change)];
        for fact in FACTS {
            if let Some(value) = change.get(fact) {
                state.insert(fact.to_string(), value.clone());
            }
        }
        if let Some(log) = change.get("log") {
            let old = state.get("log").cloned().unwrap_or(json!({"base": 0, "entries": []}));
            state.insert("log".to_string(), replaced(&old, log));
        }
    }
    json!(states)
}

/// A log after a change: entry by entry, at their indices.
fn replaced(old: &Value, change: &Value) -> Value {
    let old_base = old["base"].as_u64().expect("a number");
    let base = change["from"].as_u64().unwrap_or(old_base);
    let keep = change["keep"].as_u64().expect("every change of these stories has it");
    let entries = old["entries"].as_array().expect("a list");
    let kept = (old_base + 1..).zip(entries).filter(|(index, _)| *index > base && *index <= keep);
    let kept = kept.map(|(_, entry)| entry.clone());
    let added = change["add"].as_array().expect("a list").iter().cloned();
    json!({"base": base, "entries": kept.chain(added).collect::<Vec<_>>()})
}
