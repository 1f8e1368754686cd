//! A list of the calls and returns of the operations that are not done yet, in the order of time.

use super::Span;

/// A call or a return, with the index of its operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// The operation is called.
    Call(usize),
    /// The operation returns.
    Return(usize),
    /// The end of the list.
    End,
}

/// A doubly linked list from which operations are removed and to which they are restored at their old places. The operation
/// that was removed last is restored first.
pub struct List {
    /// The event after the call of an operation (at twice its index), and after its return (one more). The last element is the
    /// first event.
    next: Vec<u32>,
    before: Vec<u32>,
    returns: Vec<bool>,
}

impl List {
    /// The list of all operations.
    pub fn new(spans: &[Span]) -> List {
        let mut events: Vec<(u32, u32)> = Vec::with_capacity(2 * spans.len());
        for (op, span) in spans.iter().enumerate() {
            events.push((span.call, call(op)));
            events.extend(span.ret.map(|ret| (ret, call(op) + 1)));
        }
        // A call and a return are never at the same place.
        events.sort_unstable();
        let end = call(spans.len());
        let mut list = List {
            next: vec![end; end as usize + 1],
            before: vec![end; end as usize + 1],
            returns: spans.iter().map(|span| span.ret.is_some()).collect(),
        };
        let mut last = end;
        for (_, event) in events {
            list.link(last, event);
            last = event;
        }
        list.link(last, end);
        list
    }

    /// The first event.
    pub fn first(&self) -> Event {
        self.following(self.next.len() as u32 - 1)
    }

    /// The event after the call of an operation. If the operation was just removed, the event at which the list continues
    /// without it.
    pub fn after(&self, op: usize) -> Event {
        self.following(call(op))
    }

    /// Removes an operation.
    pub fn remove(&mut self, op: usize) {
        // Unlink the return first, so that the call then links to the event after both.
        if self.returns[op] {
            self.unlink(call(op) + 1);
        }
        self.unlink(call(op));
    }

    /// Restores the operation that was removed last.
    pub fn restore(&mut self, op: usize) {
        self.relink(call(op));
        if self.returns[op] {
            self.relink(call(op) + 1);
        }
    }

    fn following(&self, event: u32) -> Event {
        let next = self.next[event as usize] as usize;
        match (next == self.next.len() - 1, next % 2) {
            (true, _) => Event::End,
            (false, 0) => Event::Call(next / 2),
            (false, _) => Event::Return(next / 2),
        }
    }

    fn link(&mut self, first: u32, second: u32) {
        self.next[first as usize] = second;
        self.before[second as usize] = first;
    }

    fn unlink(&mut self, event: u32) {
        self.link(self.before[event as usize], self.next[event as usize]);
    }

    fn relink(&mut self, event: u32) {
        self.link(self.before[event as usize], event);
        self.link(event, self.next[event as usize]);
    }
}

fn call(op: usize) -> u32 {
    2 * op as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use Event::{Call, End, Return};

    fn all(list: &List) -> Vec<Event> {
        let next = |event: &Event| match event {
            Call(op) => Some(list.following(call(*op))),
            Return(op) => Some(list.following(call(*op) + 1)),
            End => None,
        };
        std::iter::successors(Some(list.first()), next).collect()
    }

    #[test]
    fn what_is_taken_comes_back_to_its_place() {
        let span = |call, ret| Span { call, ret };
        let mut list = List::new(&[span(2, Some(3)), span(1, Some(5)), span(4, None)]);
        let whole = [Call(1), Call(0), Return(0), Call(2), Return(1), End];
        assert_eq!(all(&list), whole);
        list.remove(0);
        assert_eq!(list.after(0), Call(2), "and not its own return");
        assert_eq!(all(&list), [Call(1), Call(2), Return(1), End]);
        list.remove(1);
        list.remove(2);
        assert_eq!(all(&list), [End]);
        [2, 1, 0].into_iter().for_each(|op| list.restore(op));
        assert_eq!(all(&list), whole);
    }
}
