//! The tree of all texts that were read. A text is below each of its prefixes.

use std::ops::Range;

/// A place in a [`Trie`]: a text of the tree, or a prefix of one. Each such text has exactly one place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The first node on the way down that contains the whole text.
    node: u32,
    /// The length of the text.
    len: u32,
}

impl Place {
    /// The place as a number.
    pub fn number(self) -> u64 {
        u64::from(self.node) << 32 | u64::from(self.len)
    }

    /// The place with this number; `None` for a number that belongs to no place.
    pub fn of_number(number: u64) -> Option<Place> {
        let place = Place { node: (number >> 32) as u32, len: number as u32 };
        (place.node != u32::MAX).then_some(place)
    }
}

/// See the [module](self).
pub struct Trie {
    texts: Vec<String>,
    nodes: Vec<Node>,
    /// For each text, the nodes on the way down to it.
    paths: Vec<Vec<u32>>,
    /// For each node, the range of it and the nodes below it in a depth-first order.
    below: Vec<Range<u32>>,
}

/// The prefix of a text that ends where other texts begin to differ from it, or at its own end.
struct Node {
    text: usize,
    len: usize,
    children: Vec<u32>,
}

impl Trie {
    /// The empty text.
    pub const ROOT: Place = Place { node: 0, len: 0 };

    /// The tree of these texts.
    pub fn new(texts: Vec<String>) -> Trie {
        let root = Node { text: 0, len: 0, children: Vec::new() };
        let mut trie = Trie { texts, nodes: vec![root], paths: Vec::new(), below: Vec::new() };
        (0..trie.texts.len()).for_each(|text| trie.insert(text));
        trie.paths = (0..trie.texts.len()).map(|text| trie.path(text)).collect();
        trie.below = trie.below();
        trie
    }

    /// The place of the first `len` bytes of a text.
    pub fn place(&self, text: usize, len: usize) -> Place {
        let path = &self.paths[text];
        let above = path.partition_point(|node| self.node(*node).len < len);
        Place { node: path[above], len: len as u32 }
    }

    /// Whether the text of `short` is a prefix of the text of `long`.
    pub fn begins(&self, short: Place, long: Place) -> bool {
        let below = &self.below[short.node as usize];
        short.len <= long.len && below.contains(&self.below[long.node as usize].start)
    }

    /// The place that a text leads to if `more` is appended. `None`: it is not in the tree.
    pub fn walk(&self, from: Place, mut more: &[u8]) -> Option<Place> {
        let Place { mut node, len } = from;
        let mut len = len as usize;
        loop {
            let edge = &self.bytes(node)[len..];
            let common = edge.len().min(more.len());
            if edge[..common] != more[..common] {
                return None;
            }
            (more, len) = (&more[common..], len + common);
            let Some(first) = more.first() else {
                return Some(Place { node, len: len as u32 });
            };
            node = self.child(node, *first)?;
        }
    }

    fn node(&self, node: u32) -> &Node {
        &self.nodes[node as usize]
    }

    fn bytes(&self, node: u32) -> &[u8] {
        let Node { text, len, .. } = *self.node(node);
        // The root has no text, even if the tree has no texts.
        self.texts.get(text).map_or(&[], |text| &text.as_bytes()[..len])
    }

    fn child(&self, node: u32, first: u8) -> Option<u32> {
        let at = self.node(node).len;
        let children = &self.node(node).children;
        children.iter().copied().find(|child| self.bytes(*child)[at] == first)
    }

    fn insert(&mut self, text: usize) {
        let whole = self.texts[text].len();
        let mut node = 0;
        loop {
            let at = self.node(node).len;
            let Some(&first) = self.texts[text].as_bytes().get(at) else { return };
            let Some(child) = self.child(node, first) else {
                self.add(node, Node { text, len: whole, children: Vec::new() });
                return;
            };
            let (old, new) = (self.bytes(child), self.texts[text].as_bytes());
            let pairs = old.iter().zip(new).skip(at);
            let len = at + pairs.take_while(|(old, new)| old == new).count();
            if len == new.len() {
                return;
            }
            if len < self.node(child).len {
                self.split(node, child, len);
            }
            node = self.child(node, first).unwrap_or(child);
        }
    }

    fn add(&mut self, parent: u32, node: Node) -> u32 {
        let number = self.nodes.len() as u32;
        self.nodes.push(node);
        self.nodes[parent as usize].children.push(number);
        number
    }

    /// Inserts a node of this length between a node and its child.
    fn split(&mut self, parent: u32, child: u32, len: usize) {
        let text = self.node(child).text;
        self.nodes[parent as usize].children.retain(|other| *other != child);
        self.add(parent, Node { text, len, children: vec![child] });
    }

    fn path(&self, text: usize) -> Vec<u32> {
        let text = self.texts[text].as_bytes();
        let below = |node: &u32| {
            let first = text.get(self.node(*node).len)?;
            self.child(*node, *first)
        };
        std::iter::successors(Some(0), below).collect()
    }

    fn below(&self) -> Vec<Range<u32>> {
        let mut below = vec![0..0; self.nodes.len()];
        let (mut written, mut todo) = (0, vec![(0, false)]);
        while let Some((node, is_whole)) = todo.pop() {
            if is_whole {
                below[node as usize].end = written;
                continue;
            }
            below[node as usize].start = written;
            written += 1;
            todo.push((node, true));
            todo.extend(self.node(node).children.iter().map(|child| (*child, false)));
        }
        below
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_beginning_has_one_place() {
        let texts = ["abcdef", "abcx", "", "abc", "q", "abcdeg"].map(String::from);
        let trie = Trie::new(texts.to_vec());
        for (number, text) in texts.iter().enumerate() {
            for len in 0..=text.len() {
                let place = trie.place(number, len);
                for from in 0..=len {
                    assert!(trie.begins(trie.place(number, from), place));
                    let more = &text.as_bytes()[from..len];
                    assert_eq!(trie.walk(trie.place(number, from), more), Some(place), "{text}");
                }
            }
        }
        assert_eq!(trie.place(0, 3), trie.place(1, 3));
        assert_ne!(trie.place(0, 6), trie.place(5, 6));
        let begins = |short, long| trie.begins(trie.place(short, texts[short].len()), long);
        assert!(begins(3, trie.place(0, 4)));
        assert!(!begins(0, trie.place(0, 5)) && !begins(0, trie.place(5, 6)));
        assert!(!begins(4, trie.place(0, 6)) && !begins(1, trie.place(0, 6)));
        for out in ["abd", "abcdefg", "x", "abcdxg"] {
            assert_eq!(trie.walk(Trie::ROOT, out.as_bytes()), None, "{out}");
        }
        assert_eq!(Trie::new(Vec::new()).walk(Trie::ROOT, b""), Some(Trie::ROOT));
    }
}
