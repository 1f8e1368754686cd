//! Binds all threads of a simulation to one CPU.
//!
//! Waking a thread on the same CPU takes 1.5 us, on another CPU ten times as long. A simulation uses the CPU on which it is
//! started, unless another simulation of this process uses that CPU and another allowed CPU is free.

#[cfg(target_os = "linux")]
pub(crate) use linux::{Claim, OsThread, claim};
#[cfg(not(target_os = "linux"))]
pub(crate) use other::{Claim, OsThread, claim};

#[cfg(target_os = "linux")]
mod linux {
    use parking_lot::Mutex;
    use rustix::thread::{CpuSet, gettid, sched_getaffinity, sched_getcpu, sched_setaffinity};
    use std::time::Duration;

    /// How many simulations of this process run on each CPU.
    static LOAD: Mutex<Vec<u32>> = Mutex::new(Vec::new());

    /// The CPU of a simulation. It is released when this is dropped.
    pub(crate) struct Claim(usize);

    /// The system's number of a thread of this process.
    #[derive(Clone, Copy, PartialEq, Eq)]
    pub(crate) struct OsThread(i32);

    impl OsThread {
        /// The current thread.
        pub(crate) fn current() -> Option<OsThread> {
            Some(OsThread(gettid().as_raw_pid()))
        }

        /// Whether the thread wants to run, and how long it has run so far.
        pub(crate) fn need(self) -> Option<(bool, Duration)> {
            let read =
                |name| std::fs::read_to_string(format!("/proc/self/task/{}/{name}", self.0)).ok();
            // The state comes after the thread's name. The name may contain any characters.
            let state = read("stat")?.rsplit_once(')')?.1.trim_start().chars().next()?;
            let ran = read("schedstat")?.split(' ').next()?.parse().ok()?;
            // D: the thread waits inside the system, for a disk for example.
            Some((matches!(state, 'R' | 'D'), Duration::from_nanos(ran)))
        }
    }

    /// Chooses a CPU for a simulation that starts now.
    pub(crate) fn claim() -> Option<Claim> {
        let allowed = sched_getaffinity(None).ok()?;
        let here = sched_getcpu();
        let mut load = LOAD.lock();
        load.resize(CpuSet::MAX_CPU, 0);
        let cpus = (0..CpuSet::MAX_CPU).filter(|&cpu| allowed.is_set(cpu));
        let cpu = cpus.min_by_key(|&cpu| (load[cpu], cpu != here))?;
        load[cpu] += 1;
        Some(Claim(cpu))
    }

    impl Claim {
        /// Binds the calling thread to the CPU. If this fails, the simulation is only slower.
        pub(crate) fn bind(&self) {
            let mut only = CpuSet::new();
            only.set(self.0);
            if let Err(error) = sched_setaffinity(None, &only) {
                log::debug!("could not bind a thread to CPU {}: {error}", self.0);
            }
        }
    }

    impl Drop for Claim {
        fn drop(&mut self) {
            LOAD.lock()[self.0] -= 1;
        }
    }
}

/// On other systems threads are not bound to a CPU. The simulation is correct there, but slower.
#[cfg(not(target_os = "linux"))]
mod other {
    pub(crate) struct Claim;

    #[derive(Clone, Copy, PartialEq, Eq)]
    pub(crate) struct OsThread;

    impl OsThread {
        pub(crate) fn current() -> Option<OsThread> {
            None
        }

        pub(crate) fn need(self) -> Option<(bool, std::time::Duration)> {
            None
        }
    }

    pub(crate) fn claim() -> Option<Claim> {
        None
    }

    impl Claim {
        pub(crate) fn bind(&self) {}
    }
}
