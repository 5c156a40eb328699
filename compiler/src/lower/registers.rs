//! Registers: the fields that report features and limits, and the required configuration.

use super::scope::{Lower, no_bits, of_kind};
use crate::ast::{self, Item};
use crate::model::{At, Bits, Known, LimitFrom, ReadFrom, Requirement, Setup};

impl Lower {
    pub(super) fn read_from(
        &mut self,
        feature: &ast::Feature,
        it: &ast::ReadFrom,
    ) -> Option<ReadFrom> {
        let of_space = feature.known.as_ref().filter(|at| at.node == Known::Space);
        if of_space.is_some() {
            self.misplaced(
                it.span,
                format!(
                    "`{}` is a feature of a space, which no register reports",
                    feature.name.node
                ),
                "remove the register, or `of space`",
            );
            return None;
        }
        Some(ReadFrom {
            register: it.register.node.clone(),
            bits: self.bits(&it.bits)?,
            comparison: it.comparison,
            value: At {
                value: it.value.node,
                span: it.value.span,
            },
            span: it.span,
        })
    }

    pub(super) fn limit_from(&mut self, it: &ast::LimitFrom) -> Option<LimitFrom> {
        Some(LimitFrom {
            register: it.register.node.clone(),
            bits: self.bits(&it.bits)?,
            plus: it.plus.as_ref().map_or(0, |plus| plus.node),
            span: it.span,
        })
    }

    pub(super) fn lower_setup(&mut self, items: &[Item]) -> Vec<Setup> {
        let features = of_kind!(items, Feature).filter_map(|it| it.from.as_ref());
        let limits = of_kind!(items, Limit).filter_map(|it| it.from.as_ref());
        let read = features.map(|from| &from.register.node);
        let read: Vec<&String> = read.chain(limits.map(|from| &from.register.node)).collect();
        let setups = of_kind!(items, Setup);
        setups.filter_map(|it| self.setup(it, &read)).collect()
    }

    /// Resolves one requirement. `read` names the registers that features and limits are read from.
    fn setup(&mut self, it: &ast::Setup, read: &[&String]) -> Option<Setup> {
        let what = match &it.what {
            ast::Requirement::Text(when) => {
                Requirement::Text(self.cond_with_geometry(when.as_ref(), &[]))
            }
            ast::Requirement::Field {
                field: path,
                bits,
                comparison,
                values,
            } => {
                let parts = path.node.rsplit_once('.');
                let Some((register, field)) = parts.filter(|_| !read.contains(&&path.node)) else {
                    let help = format!(
                        "name the field after a dot: `needs {}.FIELD[7] = 1 \"...\";`",
                        path.node
                    );
                    let message = format!("`{}` is a register without a field", path.node);
                    self.misplaced(path.span, message, &help);
                    return None;
                };
                Requirement::Field {
                    register: register.to_owned(),
                    field: field.to_owned(),
                    named: path.span,
                    bits: match bits {
                        Some(bits) => Some(self.bits(bits)?),
                        None => None,
                    },
                    comparison: *comparison,
                    values: self.cases(values, true, |_, number| {
                        Some(At {
                            value: number.node,
                            span: number.span,
                        })
                    }),
                }
            }
        };
        Some(Setup {
            what,
            text: it.text.node.clone(),
            span: it.span,
        })
    }

    fn bits(&mut self, it: &ast::Bits) -> Option<Bits> {
        let (high, low) = (it.high.node, it.low.node);
        if high > 63 || low > high {
            let (message, help) = no_bits(high, low, 63);
            self.misplaced(it.span, message, &help);
            return None;
        }
        Some(Bits {
            high: high as u32,
            low: low as u32,
            span: it.span,
        })
    }
}
