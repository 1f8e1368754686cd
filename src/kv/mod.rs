//! A key/value store on Raft: the lab's second half.
//!
//! | what | file |
//! |---|---|
//! | a state machine on any Raft, and the callers that wait for its log entries | [`rsm`] |
//! | the state machine: the values, and the clients' sessions (thesis §6.3) | [`store`] |
//! | the server: requests in, answers out | [`server`] |
//! | the client: finds the leader, and repeats each request until a server answers | [`clerk`] |
//!
//! Reads go through the log, so that they see every write before them. Or they use an index that Raft returns, which costs less:
//! see [`Reads`].

pub mod clerk;
pub mod rsm;
pub mod server;
pub mod store;
#[cfg(test)]
mod tests;

pub use clerk::Clerk;
pub use rsm::Rsm;
pub use server::{KvServer, Reads};
