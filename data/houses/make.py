#!/usr/bin/env python3
"""Writes train.csv and test.csv beside it: made-up houses and their prices, for configs/houses_mlp.toml.

A price depends on several columns at once (area by district, distance by district, the age in both directions), so that
a linear model explains less of it than a network does. A twentieth of it is noise.
"""

import csv
import math
import pathlib
import random

DISTRICTS = {"Harbour": (4.6, 7), "Old Town": (5.2, 5), "Mills": (3.1, 15), "Heath": (3.6, 12), "Station": (2.7, 6),
             "Orchards": (3.9, 20)}  # thousands per square metre, and kilometres over which a price falls to a third
HEATING = {"district": 1.03, "gas": 1.0, "heat pump": 1.06, "oil": 0.92}


def house(draw, number):
    district = draw.choice(list(DISTRICTS))
    heating = draw.choice(list(HEATING))
    area = round(math.exp(draw.gauss(4.6, 0.35)))
    rooms = max(1, round(area / 27 + draw.gauss(0, 0.8)))
    year = draw.randint(1880, 2024)
    distance = round(draw.uniform(0.2, 18), 1)
    garden = round(max(0, draw.gauss(150, 200)))
    per_metre, reach = DISTRICTS[district]
    price = area * per_metre * (0.5 + 0.5 * math.exp(-distance / reach))
    price *= 0.8 + 0.35 * ((year - 1955) / 70) ** 2
    price *= HEATING[heating] * (1 - 0.04 * abs(area / rooms - 27) / 10)
    price += 0.35 * garden * per_metre / 3
    price *= math.exp(draw.gauss(0, 0.05))
    return [number, district, area, rooms, year, heating, distance, garden, round(price, 1)]


def main():
    draw = random.Random(1)
    for name, count in (("train", 3000), ("test", 600)):
        with open(pathlib.Path(__file__).parent / f"{name}.csv", "w", encoding="utf-8", newline="") as file:
            rows = csv.writer(file, lineterminator="\n")
            rows.writerow(["number", "district", "area", "rooms", "year", "heating", "distance", "garden", "price"])
            rows.writerows(house(draw, number) for number in range(1, count + 1))


main()
