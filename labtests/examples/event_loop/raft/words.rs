//! The same messages in other words: with the paper's names, the names of Go solutions, no names at all, or enums for replies.
//! A wording is a set of types that serde can write. The event loop never sees these types.

mod enums;
mod from_zero;
mod go;
mod paper;
mod tuples;

pub use enums::Enums;
pub use from_zero::FromZero;
pub use go::Go;
pub use paper::Paper;
pub use tuples::Tuples;

use super::messages::{
    AppendEntries, Appended, InstallSnapshot, Installed, RequestVote, Saved, Vote,
};
use labrpc::api::{Command, Snapshot};
use serde::{Serialize, de::DeserializeOwned};

pub trait Words: 'static {
    type RequestVote: Form<RequestVote>;
    type Vote: Form<Vote>;
    type AppendEntries: Form<AppendEntries>;
    type Appended: Form<Appended>;
    type InstallSnapshot: Form<InstallSnapshot>;
    type Installed: Form<Installed>;
    type Saved: Form<Saved>;
}

/// One form of a message.
pub trait Form<T>: Convert<T> + Serialize + DeserializeOwned + 'static {}

impl<T, F: Convert<T> + Serialize + DeserializeOwned + 'static> Form<T> for F {}

/// A conversion of a message and back. It is not `From`, because a number must be able to become the same number, and a list a
/// list of other entries.
pub trait Convert<T> {
    fn of(it: T) -> Self;
    fn back(self) -> T;
}

macro_rules! as_it_is {
    ($($type:ty)*) => {
        $(impl Convert<$type> for $type {
            fn of(it: $type) -> $type {
                it
            }

            fn back(self) -> $type {
                self
            }
        })*
    };
}

as_it_is! { i64 u64 usize bool Snapshot Option<i64> Option<usize> Option<Command> }

impl<T, F: Convert<T>> Convert<Vec<T>> for Vec<F> {
    fn of(it: Vec<T>) -> Vec<F> {
        it.into_iter().map(F::of).collect()
    }

    fn back(self) -> Vec<T> {
        self.into_iter().map(F::back).collect()
    }
}

/// Makes structs whose fields are the fields of a message under other names: `Form of Message { name: Type = field, .. }`.
macro_rules! forms {
    ($($form:ident of $message:ident { $($name:ident: $type:ty = $($field:ident).+),+ $(,)? })+) => {
        $(#[derive(serde::Serialize, serde::Deserialize)]
        #[allow(non_snake_case, reason = "Go's spelling")]
        pub struct $form {
            $($name: $type),+
        }

        impl $crate::raft::words::Convert<$message> for $form {
            fn of(it: $message) -> $form {
                $form { $($name: $crate::raft::words::Convert::of(it.$($field).+)),+ }
            }

            fn back(self) -> $message {
                let mut it = $message::default();
                $(it.$($field).+ = $crate::raft::words::Convert::back(self.$name);)+
                it
            }
        })+
    };
}
use forms;
