//! What files may contain.

use super::super::file::Options;
use super::super::{History, Limit, Service, Value, Verdict};
use flate2::Compression;
use flate2::write::GzEncoder;
use std::io::Write;

fn verdict(text: &str) -> &'static str {
    let history = History::read(text.as_bytes()).unwrap_or_else(|wrong| panic!("{wrong}"));
    named(history.check(Limit::None))
}

fn named(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Linearizable => "ok",
        Verdict::Not(_) => "bad",
        Verdict::Undecided => "undecided",
    }
}

fn wrong(text: &str) -> String {
    History::read(text.as_bytes()).unwrap_err()
}

#[test]
fn registers_compare_and_swap_numbers() {
    let cas = r#"{"client":0,"call":0,"return":1,"op":"put","value":1}
        {"client":0,"call":2,"return":3,"op":"cas","from":1,"to":2,"result":"ok"}
        {"client":0,"call":4,"return":5,"op":"cas","from":1,"to":3,"result":"failed"}
        {"client":1,"call":4,"return":null,"op":"cas","from":2,"to":null}
        {"client":0,"call":6,"return":7,"op":"read","output":null}"#;
    assert_eq!(verdict(cas), "ok");
    assert_eq!(verdict(&cas.replace(r#""failed""#, r#""ok""#)), "bad");
    assert_eq!(verdict(&cas.replace(r#""failed""#, r#""unknown""#)), "ok");
}

#[test]
fn what_is_there_at_first_can_be_said() {
    let text = r#"{"client":0,"call":0,"return":1,"op":"get","output":7}"#;
    assert_eq!(verdict(text), "bad");
    let options = Options { service: None, initial: Some(Value::Number(7)) };
    let history = History::read_all([(String::new(), text.as_bytes())], &options).unwrap();
    assert_eq!(named(history.check(Limit::None)), "ok");
}

#[test]
fn other_services_have_operations_of_their_own() {
    let queue = r#"{"client":0,"call":0,"return":1,"op":"enqueue","value":"a"}
        {"client":0,"call":2,"return":3,"op":"enqueue","value":"b"}
        {"client":0,"call":4,"return":5,"op":"dequeue","output":"a"}
        {"client":0,"call":6,"return":7,"op":"dequeue","output":"b"}
        {"client":0,"call":8,"return":9,"op":"dequeue","output":null}"#;
    assert_eq!(verdict(queue), "ok");
    assert_eq!(verdict(&queue.replace(r#""output":"a""#, r#""output":"b""#)), "bad");
    let set = r#"{"client":0,"call":0,"return":1,"op":"add","value":1}
        {"client":0,"call":2,"return":3,"op":"add","value":2}
        {"client":0,"call":4,"return":5,"op":"get","output":[2,1]}"#;
    assert_eq!(verdict(set), "ok");
    assert_eq!(verdict(&set.replace("[2,1]", "[2]")), "bad");
    assert_eq!(verdict(&set.replace("[2,1]", "3")), "ok", "it counts");
    let map = r#"{"client":0,"call":0,"return":1,"op":"txn","ops":[["w","x",1],["append","y",2]]}
        {"client":1,"call":2,"return":3,"op":"txn","ops":[["r","x",1],["r","y",[2]]]}"#;
    assert_eq!(verdict(map), "ok");
    assert_eq!(verdict(&map.replace(r#"["r","x",1]"#, r#"["r","x",null]"#)), "bad", "half of it");
}

#[test]
fn jepsens_logs_and_histories_are_read() {
    let log = "INFO  jepsen.util - 0\t:invoke\t:write\t4\nINFO  jepsen.util - 1\t:invoke\t:read\tnil\n\
        INFO  jepsen.util - :nemesis\t:info\t:start\tnil\nINFO  jepsen.util - 1\t:ok\t:read\tnil\n\
        INFO  jepsen.util - 0\t:ok\t:write\t4\nINFO  jepsen.util - 0\t:invoke\t:cas\t[4 2]\n\
        INFO  jepsen.util - 0\t:info\t:cas\t:timed-out\nINFO  jepsen.util - 1\t:invoke\t:cas\t[3 1]\n\
        INFO  jepsen.util - 1\t:fail\t:cas\t[3 1]\nINFO  jepsen.util - 1\t:invoke\t:read\tnil\n\
        INFO  jepsen.util - 1\t:fail\t:read\t:timed-out\nINFO  jepsen.util - 1\t:invoke\t:read\tnil\n\
        INFO  jepsen.util - 1\t:ok\t:read\t2\n";
    assert_eq!(verdict(log), "ok");
    assert_eq!(verdict(&log.replace(":ok\t:read\t2", ":ok\t:read\t3")), "bad");
    assert_eq!(verdict(&log.replace("[3 1]", "[4 1]").replace(":info\t:cas", ":ok\t:cas")), "ok");
    let edn = "{:process 0, :type :invoke, :f :write, :value [\"k\" 1], :time 1, :index 0}\n\
        {:type :ok, :f :write, :value #jepsen.independent/tuple [\"k\" 1], :process 0}\n\
        {:process :nemesis, :type :info, :f :kill, :value [\"n1\" {:a #{1 2}}]}\n\
        {:process 1, :type :invoke, :f :read, :value [\"k\" nil]}\n\
        {:process 1, :type :ok, :f :read, :value [\"k\" 1]}\n";
    assert_eq!(verdict(edn), "ok");
    assert_eq!(
        verdict(&edn.replace(":ok, :f :read, :value [\"k\" 1]", ":ok, :f :read, :value [\"k\" 2]")),
        "bad"
    );
    let texts = "{:process 0, :type :invoke, :f :append, :key \"0\", :value \"x 0 0 y\"}\n\
        {:process 0, :type :ok, :f :append, :key \"0\", :value \"x 0 0 y\"}\n\
        {:process 0, :type :invoke, :f :get, :key \"0\", :value nil}\n\
        {:process 0, :type :ok, :f :get, :key \"0\", :value \"x 0 0 y\"}\n";
    assert_eq!(verdict(texts), "ok");
    assert_eq!(
        verdict(&texts.replace(
            ":ok, :f :get, :key \"0\", :value \"x",
            ":ok, :f :get, :key \"0\", :value \"y"
        )),
        "bad"
    );
}

#[test]
fn files_may_be_packed_marked_and_several() {
    let text = "\u{feff}{\"client\":0,\"call\":0,\"return\":1,\"op\":\"put\",\"key\":\"k\",\"value\":\"a\"}\r\n\n   \n";
    let more = r#"{"client":1,"call":2,"return":3,"op":"get","key":"k","output":"b","note":"on S2","trace":7}"#;
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    packed.write_all(text.as_bytes()).unwrap();
    let packed = packed.finish().unwrap();
    let files = [("a.gz".to_string(), packed.as_slice()), ("b".to_string(), more.as_bytes())];
    let history = History::read_all(files, &Options::default()).unwrap();
    assert_eq!((history.operations(), history.place(1).as_str()), (2, "b:1"));
    assert_eq!(history.note(1), Some("on S2"));
    assert_eq!(named(history.check(Limit::None)), "bad");
}

#[test]
fn what_is_wrong_is_told_line_by_line_and_what_is_foreign_by_its_name() {
    assert!(
        wrong("[{\"client\":0}]").contains("this is a JSON array; expected one operation per line")
    );
    assert!(wrong("").contains("no operations"));
    let three = wrong(
        "{\"client\":0}\n\nnonsense\n{\"client\":0,\"call\":9,\"return\":1,\"op\":\"get\",\"output\":\"\"}\n",
    );
    for line in ["3 lines are wrong", "line 1: ", "line 3: ", "line 4: it returns at 1"] {
        assert!(three.contains(line), "{three}");
    }
    let many = wrong(&"nonsense\n".repeat(50));
    assert!(many.starts_with("50 lines are wrong; the first 20:"), "{many}");
    let mixed = "{\"client\":0,\"call\":0,\"return\":1,\"op\":\"enqueue\",\"value\":1}\n\
        {\"client\":0,\"call\":2,\"return\":3,\"op\":\"cas\",\"from\":1,\"to\":2,\"result\":\"ok\"}\n";
    assert!(wrong(mixed).contains("No service has both"), "{}", wrong(mixed));
    let real = "{\"client\":0,\"call\":0,\"return\":1,\"op\":\"put\",\"value\":1.5}";
    assert!(wrong(real).contains("a whole number"), "{}", wrong(real));
    let half = "{:process 0, :type :invoke, :f :write, :value [\"k\"";
    assert!(wrong(half).contains("cut off"), "{}", wrong(half));
    let deep = format!("{{:process 0, :value {}", "[".repeat(100_000));
    assert!(
        wrong(&deep).contains("more than 100 lists"),
        "it says so, and does not end the process"
    );
    let twice = "{:process 0, :type :invoke, :f :read, :value nil}\n".repeat(2);
    assert!(wrong(&twice).contains("has not ended"), "{}", wrong(&twice));
    let options = Options { service: Some(Service::Queue), initial: None };
    let get = r#"{"client":0,"call":0,"return":1,"op":"get","output":7}"#;
    let refused = History::read_all([("f".into(), get.as_bytes())], &options).unwrap_err();
    assert_eq!(refused, "f: line 1: a queue has no get");
}
