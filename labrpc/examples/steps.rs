use labrpc::run::{Backend, Run};
use labrpc::thread;
fn main() {
    let n: u64 = std::env::args().nth(1).unwrap().parse().unwrap();
    for backend in [Backend::Coroutines, Backend::Threads] {
        let n = if backend == Backend::Threads { n / 20 } else { n };
        let began = std::time::Instant::now();
        let out = Run::simulated(1).backend(backend).run(move || {
            let t = thread::spawn(move || {
                for _ in 0..n / 2 {
                    thread::yield_now();
                }
            });
            for _ in 0..n / 2 {
                thread::yield_now();
            }
            t.join().unwrap();
        });
        println!(
            "{backend:?} {:?} {} {:x}: {:?} a step",
            out.result,
            out.steps,
            out.fingerprint,
            began.elapsed() / out.steps as u32
        );
    }
}
