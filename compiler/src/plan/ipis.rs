//! In which configurations flushes send IPIs.
//!
//! In: a plan that chooses IPI targets. Out: a tree of tests of the configuration. Holds: where the tree says never, no request
//! of a space with a global tag sends an IPI, whatever flags the space has.

use super::ir::{Node, Test};
use crate::model::flags::Flag;
use crate::model::{Known, Model};

/// In which configurations some request sends an IPI.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SendsIpis {
    /// In none.
    Never,
    /// In all.
    Always,
    /// It depends on a feature or an erratum that is known at boot.
    If {
        /// The test that decides.
        on: Test,
        /// The configurations of those in which it holds.
        then: Box<SendsIpis>,
        /// The configurations of those in which it does not.
        otherwise: Box<SendsIpis>,
    },
}

impl SendsIpis {
    /// Returns in which configurations some request under a global tag reaches a node that sends an IPI.
    pub fn of(model: &Model, node: &Node) -> Self {
        match node {
            Node::SendIpi { .. } => Self::Always,
            Node::Select {
                on,
                then,
                otherwise,
            } => {
                let (then, otherwise) = (Self::of(model, then), Self::of(model, otherwise));
                match *on {
                    Test::GlobalTag => then,
                    Test::Feature(feature) if model.features[feature].known == Known::Space => {
                        then.or(otherwise)
                    }
                    on if Flag::of(on).is_some() => Self::select(on, then, otherwise),
                    _ => then.or(otherwise),
                }
            }
            _ => Self::Never,
        }
    }

    /// Returns the configurations that a test selects from others.
    fn select(on: Test, then: Self, otherwise: Self) -> Self {
        let (then, otherwise) = (then.given(on, true), otherwise.given(on, false));
        if then == otherwise {
            return then;
        }
        Self::If {
            on,
            then: Box::new(then),
            otherwise: Box::new(otherwise),
        }
    }

    /// Returns the tree without the tests that the result of one test decides.
    fn given(self, test: Test, holds: bool) -> Self {
        match self {
            Self::If {
                on,
                then,
                otherwise,
            } => match (on == test, holds) {
                (true, true) => *then,
                (true, false) => *otherwise,
                (false, _) => {
                    Self::select(on, then.given(test, holds), otherwise.given(test, holds))
                }
            },
            constant => constant,
        }
    }

    /// Returns the configurations in which either of two requests sends an IPI.
    fn or(self, other: Self) -> Self {
        match (self, other) {
            (Self::Always, _) | (_, Self::Always) => Self::Always,
            (Self::Never, sends) | (sends, Self::Never) => sends,
            (
                Self::If {
                    on,
                    then,
                    otherwise,
                },
                other,
            ) => Self::select(on, then.or(other.clone()), otherwise.or(other)),
        }
    }
}

#[cfg(test)]
mod tests {
    use tlbc_runtime::agents::Agents;
    use tlbc_runtime::backend::IpiTargets;

    use super::super::ir::Reason;
    use super::super::tests::shipped;
    use super::*;

    const BOOT: Test = Test::Feature(0);
    const OTHER: Test = Test::Feature(1);
    const OF_SPACE: Test = Test::Feature(2);

    fn send() -> Node {
        Node::SendIpi {
            to: IpiTargets {
                agents: Agents::ACTIVE,
                ..IpiTargets::NONE
            },
            flush: true,
        }
    }

    fn sends(node: &Node) -> SendsIpis {
        let models = shipped().into_iter();
        let mut models = models.filter(|model| model.features.len() >= 3);
        let mut model = models.next().unwrap();
        for (feature, known) in
            model
                .features
                .iter_mut()
                .zip([Known::Boot, Known::Boot, Known::Space])
        {
            feature.known = known;
        }
        SendsIpis::of(&model, node)
    }

    fn given(on: Test, then: SendsIpis, otherwise: SendsIpis) -> SendsIpis {
        SendsIpis::If {
            on,
            then: Box::new(then),
            otherwise: Box::new(otherwise),
        }
    }

    #[test]
    fn only_the_configuration_decides() {
        use SendsIpis::{Always, Never};
        let none = || Node::Nothing(Reason::NoIpi);
        // Some request fails the test, and some space lacks the feature.
        for test in [Test::WalkEntries, Test::Teardown, OF_SPACE] {
            assert_eq!(sends(&Node::select(test, none(), send())), Always);
            assert_eq!(sends(&Node::select(test, send(), none())), Always);
        }
        assert_eq!(sends(&Node::select(Test::GlobalTag, none(), send())), Never);
        let boot = Node::select(BOOT, none(), send());
        assert_eq!(sends(&boot), given(BOOT, Never, Always));
        // What one request sends, another may not.
        let other = Node::select(OTHER, send(), none());
        let either = Node::select(Test::Teardown, boot.clone(), other);
        assert_eq!(
            sends(&either),
            given(BOOT, given(OTHER, Always, Never), Always)
        );
        // The same test is asked once, and not at all if it changes nothing.
        let both = Node::select(Test::Teardown, boot, Node::select(BOOT, send(), none()));
        assert_eq!(sends(&both), Always);
    }
}
