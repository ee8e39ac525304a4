//! Placement of the names of points in a plot: beside their point, and over no other point or name.

use egui::{Pos2, Rect, Vec2, pos2, vec2};

/// A disc or ring, on screen.
#[derive(Debug, Clone, Copy)]
pub(super) struct Dot {
    pub center: Pos2,
    /// Points.
    pub radius: f32,
}

impl Dot {
    /// Its rectangle with a small margin.
    fn rect(self) -> Rect {
        Rect::from_center_size(self.center, Vec2::splat(2.0 * self.radius + 2.0))
    }
}

/// A rectangle for each name of this size at this dot, all inside `room`: the first free one of several positions
/// around the dot, otherwise the one with the least overlap.
pub(super) fn places(names: &[(Vec2, Dot)], dots: &[Dot], room: Rect) -> Vec<Rect> {
    let mut taken: Vec<Rect> = dots.iter().map(|dot| dot.rect()).collect();
    names
        .iter()
        .map(|(size, dot)| {
            let mut best: Option<(f32, Rect)> = None;
            for place in around(*size, *dot) {
                let place = inside(place, room);
                let over = taken.iter().map(|other| area(other.intersect(place))).sum();
                if best.is_none_or(|(known, _)| over < known) {
                    best = Some((over, place));
                }
                if over <= 0.0 {
                    break;
                }
            }
            let place = best.map_or(Rect::from_center_size(dot.center, *size), |(_, place)| {
                place
            });
            taken.push(place);
            place
        })
        .collect()
}

/// Positions around a dot, the usual ones first.
fn around(size: Vec2, dot: Dot) -> impl Iterator<Item = Rect> {
    let Dot { center, radius } = dot;
    let away = radius + 2.0;
    let beside = away + size.x / 2.0;
    (0..4_u8).flat_map(move |line| {
        let up = away + size.y * (0.5 + f32::from(line));
        let right = size.x / 2.0 - radius;
        // The dot itself is in the middle of its line.
        let level = (line == 0).then_some([vec2(beside, 0.0), vec2(-beside, 0.0)]);
        let others = [0.0, right, -right].map(|x| [vec2(x, -up), vec2(x, up)]);
        let others = others.into_iter().flatten();
        let moves = others.chain(level.into_iter().flatten());
        moves.map(move |by| Rect::from_center_size(center + by, size))
    })
}

/// A rectangle moved into another one.
fn inside(rect: Rect, room: Rect) -> Rect {
    let least = room.min;
    let most = (room.max - rect.size()).max(least);
    let min = pos2(
        rect.min.x.clamp(least.x, most.x),
        rect.min.y.clamp(least.y, most.y),
    );
    Rect::from_min_size(min, rect.size())
}

fn area(rect: Rect) -> f32 {
    rect.width().max(0.0) * rect.height().max(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOM: Rect = Rect {
        min: pos2(0.0, 0.0),
        max: pos2(600.0, 160.0),
    };

    fn dot(x: f32, y: f32) -> Dot {
        Dot {
            center: pos2(x, y),
            radius: 4.5,
        }
    }

    /// Three models at the same position, one at the edge, and a cluster of rings around an int8 one.
    #[test]
    fn names_lie_over_no_dot_and_no_name() {
        let size = vec2(70.0, 14.0);
        let named = [
            dot(80.0, 60.0),
            dot(400.0, 20.0),
            dot(400.0, 20.0),
            dot(402.0, 21.0),
            dot(598.0, 158.0),
        ];
        let mut dots = named.to_vec();
        dots.extend([50.0, 44.0, 72.0, 80.0, 95.0].map(|y| dot(80.0, y)));
        dots.extend([66.0, 94.0].map(|x| dot(x, 72.0)));
        let names = named.map(|dot| (size, dot));
        let places = places(&names, &dots, ROOM);
        for (at, place) in places.iter().enumerate() {
            assert!(ROOM.contains_rect(*place), "{place:?}");
            for other in &places[at + 1..] {
                assert!(area(place.intersect(*other)) <= 0.0, "{place:?} {other:?}");
            }
            for dot in &dots {
                assert!(area(place.intersect(dot.rect())) <= 0.0, "{place:?}");
            }
        }
    }

    #[test]
    fn a_name_alone_stands_above_in_the_middle() {
        let found = places(
            &[(vec2(40.0, 14.0), dot(100.0, 80.0))],
            &[dot(100.0, 80.0)],
            ROOM,
        );
        assert!((found[0].center().x - 100.0).abs() < 1e-3);
        assert!(found[0].bottom() < 80.0 - 4.5);
    }
}
