//! What is asked for, and how often of each kind.

use std::fmt;
use std::str::FromStr;

/// A kind of request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// `POST /echo`: of the bare server that figures are compared with.
    Echo,
    /// `SendMessage`.
    Send,
    /// `GetConversationMessages`: the newest 50.
    Read,
    /// `GetConversations`: the first 20.
    List,
    /// `SearchMessages` in everything that one may read.
    Search,
}

impl Kind {
    /// Every kind that Parlor answers.
    pub const ALL: [Self; 4] = [Self::Send, Self::Read, Self::List, Self::Search];

    /// How it is called on the command line and in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Echo => "echo",
            Self::Send => "send",
            Self::Read => "read",
            Self::List => "list",
            Self::Search => "search",
        }
    }
}

/// Kinds of requests with their weights.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mix {
    weights: Vec<(Kind, u32)>,
    /// A round of the mix, the kinds spread evenly.
    round: Vec<Kind>,
    /// What searches look for; each looks for something else unless this says what.
    pub search: Option<String>,
}

impl Mix {
    /// One kind only.
    pub fn only(kind: Kind) -> Self {
        Self::of(vec![(kind, 1)])
    }

    /// Searches for this text only.
    pub fn search(text: &str) -> Self {
        Self { search: Some(text.to_owned()), ..Self::only(Kind::Search) }
    }

    fn of(weights: Vec<(Kind, u32)>) -> Self {
        let total: u32 = weights.iter().map(|(_, weight)| weight).sum();
        let mut owed = vec![0_i64; weights.len()];
        let round = (0..total).filter_map(|_| {
            // Who is owed most is next: 1 of 10 sends comes after 9 reads, not by chance.
            for (owed, (_, weight)) in owed.iter_mut().zip(&weights) {
                *owed += i64::from(*weight);
            }
            let next = (0..owed.len()).max_by_key(|&n| owed[n])?;
            owed[next] -= i64::from(total);
            Some(weights[next].0)
        });
        let round = round.collect();
        Self { weights, round, search: None }
    }

    /// The kind of the nth request.
    pub fn nth(&self, n: u64) -> Kind {
        self.round[(n % self.round.len() as u64) as usize]
    }

    /// Whether there is anything of this kind in it.
    pub fn has(&self, kind: Kind) -> bool {
        self.weights.iter().any(|(of, _)| *of == kind)
    }
}

impl fmt::Display for Mix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, (kind, weight)) in self.weights.iter().enumerate() {
            write!(f, "{}{}={weight}", if n > 0 { "," } else { "" }, kind.name())?;
        }
        Ok(())
    }
}

impl FromStr for Mix {
    type Err = String;

    /// Takes `send=1,read=6` and single names.
    fn from_str(text: &str) -> Result<Self, String> {
        let mut weights = Vec::new();
        for part in text.split(',').map(str::trim) {
            let (name, weight) = part.split_once('=').unwrap_or((part, "1"));
            let kind = Kind::ALL.into_iter().find(|kind| kind.name() == name);
            let kind = kind.ok_or_else(|| format!("`{name}` is none of send, read, list, search"))?;
            let weight: u32 =
                weight.parse().map_err(|_| format!("`{weight}` is no weight: give a whole number"))?;
            if weight > 1000 {
                return Err(format!("the weight of {name} is more than 1000"));
            }
            if weights.iter().any(|(of, _)| *of == kind) {
                return Err(format!("{name} is there twice"));
            }
            if weight > 0 {
                weights.push((kind, weight));
            }
        }
        if weights.is_empty() {
            return Err("nothing is left to do: give one of send, read, list, search a weight".to_owned());
        }
        Ok(Self::of(weights))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mix_holds_its_shares_in_every_round_and_says_what_is_wrong() {
        let mix: Mix = "send=1,read=6,list=2,search=1".parse().unwrap();
        let count = |kind| (0..100).filter(|&n| mix.nth(n) == kind).count();
        assert_eq!(Kind::ALL.map(count), [10, 60, 20, 10]);
        assert_eq!(mix.to_string().parse::<Mix>().unwrap(), mix);
        for (wrong, told) in
            [("sned=1", "none of"), ("send=x", "whole number"), ("send=0", "nothing"), ("send,send", "twice")]
        {
            assert!(wrong.parse::<Mix>().unwrap_err().contains(told), "{wrong}");
        }
    }
}
