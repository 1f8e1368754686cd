//! The server's side of an RPC: services with named methods, and the server that offers them.

use crate::codec;
use crate::describe::Value;
use crate::trace;
use serde::{Serialize, de::DeserializeOwned};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A set of methods under one name, such as `Raft`.
///
/// ```
/// use labrpc::Service;
/// let service = Service::new("Sum").method("Add", |(a, b): (u64, u64)| a + b);
/// ```
pub struct Service {
    name: &'static str,
    methods: BTreeMap<&'static str, Handler>,
}

type Handler = Arc<dyn Fn(&[u8]) -> Result<Reply, String> + Send + Sync>;

/// The reply of a handler.
pub(crate) struct Reply {
    pub bytes: Vec<u8>,
    pub described: Option<Arc<Value>>,
}

impl Service {
    /// A service without methods.
    pub fn new(name: &'static str) -> Service {
        Service { name, methods: BTreeMap::new() }
    }

    /// Adds a method. Every call gets a thread of its own, so a handler may wait. A handler always replies: the caller gets its
    /// return value, or `None` if the network loses the reply.
    pub fn method<A, R, F>(mut self, name: &'static str, handler: F) -> Service
    where
        A: DeserializeOwned,
        R: Serialize,
        F: Fn(A) -> R + Send + Sync + 'static,
    {
        let service = self.name;
        let handler = move |bytes: &[u8]| {
            let args = codec::decode(bytes).map_err(|error| {
                format!("{service}.{name} is called with arguments of another type: {error}")
            })?;
            let reply = handler(args);
            let bytes = codec::encode(&reply);
            let described = trace::describe(&reply, &bytes);
            Ok(Reply { bytes, described })
        };
        self.methods.insert(name, Arc::new(handler));
        self
    }
}

/// The services that one incarnation of a server offers.
pub struct Server {
    services: BTreeMap<&'static str, Service>,
}

impl Server {
    /// A server with these services.
    pub fn new(services: impl IntoIterator<Item = Service>) -> Server {
        Server { services: services.into_iter().map(|service| (service.name, service)).collect() }
    }

    /// Runs the handler of `Service.Method`. An error means a mistake in the program.
    pub(crate) fn dispatch(&self, method: &str, args: &[u8]) -> Result<Reply, String> {
        let (service, name) = method.split_once('.').unwrap_or((method, ""));
        match self.services.get(service).and_then(|service| service.methods.get(name)) {
            Some(handler) => handler(args),
            None => Err(format!("this server has no method {method:?}; it has {}", self.choices())),
        }
    }

    fn choices(&self) -> String {
        let names = self.services.values().flat_map(|service| {
            service.methods.keys().map(|method| format!("{}.{method}", service.name))
        });
        let names: Vec<_> = names.collect();
        if names.is_empty() { "no service at all".into() } else { names.join(", ") }
    }
}
