//! The calls and returns of the operations that aren't done, in the order of time.

use super::Span;

/// A call or a return, by the number of its operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// It is asked for.
    Call(usize),
    /// It is answered.
    Return(usize),
    /// There is nothing more.
    End,
}

/// A list, linked both ways, from which an operation is taken, and to which it comes back at its old place. What was
/// taken last comes back first.
pub struct List {
    /// What comes after the call of an operation (at twice its number), after its return (one more); and last, what
    /// is first.
    next: Vec<u32>,
    before: Vec<u32>,
    returns: Vec<bool>,
}

impl List {
    /// Of all.
    pub fn new(spans: &[Span]) -> List {
        let mut events: Vec<(u32, u32)> = Vec::with_capacity(2 * spans.len());
        for (op, span) in spans.iter().enumerate() {
            events.push((span.call, call(op)));
            events.extend(span.ret.map(|ret| (ret, call(op) + 1)));
        }
        // No call has the place of a return.
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

    /// What comes after the call of an operation; if that was taken just now, where the list goes on without it.
    pub fn after(&self, op: usize) -> Event {
        self.following(call(op))
    }

    /// Takes an operation.
    pub fn remove(&mut self, op: usize) {
        // The return first, so that the call knows what comes after both.
        if self.returns[op] {
            self.unlink(call(op) + 1);
        }
        self.unlink(call(op));
    }

    /// Puts back the one that was taken last.
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
