"""Things to name in answers to open questions: a topic is cue words of the question and things that fit it."""

from __future__ import annotations

import re

from words import words

_TOPICS = """
colour, colours, shade, hue, paint =
  deep green; dusty blue; the grey of wet slate; pale yellow; rust red; warm white; indigo; the pink of
  early cherry blossom; moss green; plain black
animal, animals, creature, creatures, pet =
  the otter; the heron; the octopus; the barn owl; the red fox; the sea turtle; the honeybee; the snow
  leopard; the swift; the old grey whale
bird, birds, birdsong =
  the heron; the barn owl; the swallow; the nightingale; the wren; the kingfisher; the crane
tree, trees, forest, wood =
  the silver birch; an old oak; the cherry in early spring; the weeping willow; a cedar on a hillside;
  the olive tree
sound, sounds, noise, hear, listen =
  rain on a tin roof; the turning of pages; a kettle starting to sing; the tide going out over pebbles;
  a distant train at night; snow underfoot; a cello in an empty room
music, song, melody, genre, compose, piece, instrument, tune =
  a slow waltz for piano; a folk song sung in harmony; a cello suite; early jazz; a lullaby with no
  words; a choir without instruments; a piece for harp and rain; a string quartet in a minor key
smell, scent, fragrance, perfume =
  soil after the first rain; bread just out of the oven; cut cedar; an old library; salt and seaweed;
  orange peel on a warm stove
season, weather, month, climate, sky =
  late autumn; the first week of spring; a clear winter morning; a summer night after rain; fog over
  fields; a storm seen from indoors
hour, moment, evening, morning, day, night, light, o'clock =
  the half hour before dawn; late afternoon in October; the blue minutes after sunset; a quiet midnight;
  the first hour of morning
building, bridge, architecture, house, room, window, door, staircase, roof, tower =
  a low stone bridge with three arches; a wooden hall with a steep roof; a spiral staircase lit from
  above; a round tower by the sea; a library with tall windows; a covered courtyard
place, city, town, landscape, island, country, travel, visit, street, garden, view =
  a harbour town in winter; a walled garden; a small island with one road; a valley of terraced fields;
  an old street of bookshops; a salt marsh at low tide; a mountain village in snow
painting, picture, art, artwork, draw, drawing, portrait, sculpture, wall, canvas, mural =
  a still life of bread and pears; a portrait of someone reading; a large painting of fog; a mural of
  migrating birds; a small drawing of a chair by a window; a map of an invented country
photograph, film, scene, camera, opening =
  one long shot of a ferry arriving; a film about a lighthouse keeper's last week; a silent scene at a
  railway station; a street empty after rain
shape, pattern, line, symmetry, texture, material, fabric, surface =
  the spiral of a shell; ripples in sand; the branching of a river; frost on glass; rough linen; worn
  oak; a circle drawn by hand
object, design, tool, everyday, thing, invention =
  the bicycle; a plain wooden spoon; the paper clip; the teapot; a well-balanced knife; the lantern; the
  needle; the book
word, words, language, sentence, name, line, phrase =
  the word "lantern"; the word "petrichor"; the word "hush"; a short line with a pause in the middle;
  the word "threshold"; the word "drift"
story, novel, tale, fiction, plot, character, narrator, hero, legend, myth =
  a ghost story told by the ghost; a story about two rival clockmakers; a novel set on a night train;
  the tale of a village that forgets its name; a story told in letters never sent; a sea voyage told by
  the cook
poem, poetry, verse, haiku, stanza =
  the last bus of the night; rain on a Sunday; a grandmother's hands; the sound of snow; a door that is
  never opened; a river that changes its course
festival, game, ritual, celebration, holiday, party, toy =
  a festival of lanterns on the river; a day when everyone speaks in rhyme; a game of maps and missing
  islands; a night market for forgotten things; a parade of home-made kites
museum, exhibition, library, collection, box, time capsule =
  a museum of everyday sounds; an exhibition of unfinished letters; a library of smells; a collection of
  broken clocks
food, meal, dish, breakfast, soup, taste, cook, bread =
  a slow vegetable stew; warm bread with salted butter; lentil soup with lemon; a ripe pear; noodles in
  clear broth; porridge with honey
joke, humour, laugh, funny, pun, comedy =
  deadpan understatement; a pun told with a straight face; a joke that takes a whole story to tell;
  gentle teasing between friends; an absurd answer given seriously
conversation, talk, topic, subject, chat, discuss, bring, steer =
  the books that changed a mind; how people choose where to live; the history of everyday tools; what
  makes a place feel like home; childhood games; the strangest dream of the week; how bread is made
question, questions, ask, asked, curious, wonder =
  why music moves us; what time is; how trust begins; whether numbers were found or made; what animals
  dream about; why we like sad songs; how languages are born
reply, message, greeting, hello, goodbye, begin, start, stranger, end, farewell, compliment =
  a plain question about the day; a warm hello and no small talk; a shared joke; a simple thank you; an
  honest compliment; a promise to talk again; a few words about the weather
silence, quiet, pause, listening, listener, interrupt =
  a pause long enough to think in; a patient question; letting the silence be; a change of subject;
  waiting without a word
disagreement, debate, argument, criticism, mistake, correct, correction, apology =
  a calm question before any reply; a direct word in private; a clear counterexample; a disagreement
  that ends in a better question; a short and honest apology; being told at once and kindly
friend, friends, company, companion, partner, person, someone =
  someone who listens before speaking; a friend who laughs easily; a person who keeps small promises; a
  patient teacher; someone who admits a mistake
mathematics, number, numbers, proof, theorem, geometry, equation, mathematical =
  the proof that there are endless primes; the number zero; prime numbers; knot theory; the geometry of
  curved surfaces; Euler's formula; the idea of infinity; graph theory
physics, universe, space, star, planet, cosmos, galaxy =
  the life of stars; black holes; what came before the first light; the shape of space; the speed of
  light; quantum entanglement
science, scientific, theory, experiment, discovery, biology, evolution, nature, cell =
  the theory of evolution; the discovery of deep time; how cells repair themselves; the migration of
  birds; continental drift; the double slit experiment; the germ theory of disease
philosophy, philosopher, thinker, thinkers, paradox, mind, consciousness, thought, idea, ideas, free will =
  the ship of Theseus; the problem of consciousness; the heap of sand; free will; the veil of ignorance;
  the liar paradox; what makes a person the same over time; the idea of emergence
history, historical, past, ancient, century, era, civilisation, archaeology, period =
  the library of Alexandria; the trade routes of the Silk Road; the invention of writing; the lives of
  ordinary people in old cities; the voyages across the Pacific; the first observatories
field, discipline, study, learn, research, skill, craft, course, academic =
  linguistics; ecology; the history of ideas; bookbinding; astronomy; how to read old maps; the study of
  sleep; game theory; sign language
book, books, read, essay, writer, author, letters, diary =
  a book of old letters; a history of salt; essays about walking; a dictionary of lost words; a diary
  kept at sea; a long novel about a small town
virtue, quality, trait, value, values, character, principle =
  honesty; patience; kindness without an audience; courage in small things; fairness; gratitude;
  humility; loyalty that can say no
lie, lies, truth, honest, honesty, secret, secrets, deceive =
  telling the truth gently; keeping the secret; saying nothing until asked; an honest word in private; a
  small lie that spares a friend
promise, duty, owe, owes, obligation, responsible, responsibility, debt =
  keeping the promise; a duty to warn; help that costs little; doing the work that was agreed; care for
  those who come after us
fair, share, divide, divided, pay, reward, split, equal, deserve =
  equal shares for all; a share for effort; giving most to those with least; drawing lots; letting the
  group decide
forgive, forgiveness, sorry, punish, punishment, wrong, blame, guilt, mercy =
  forgiveness once amends are made; a second chance; an open apology; mercy with a clear limit; making
  good the harm
brave, courage, good, kind, kindness, act, deed, help, generous =
  telling a friend a hard truth; owning up before being asked; helping without being thanked; stopping
  for a stranger; sitting with someone in grief
rule, rules, law, society, community, village, world, future, change, power =
  a free evening class for everyone; more shared gardens; a rule against waste; slower streets; a public
  library on every street; one day a week without screens
"""

_GENERAL = """
aesthetic_preference =
  wet stone in evening light; an old wooden table; fog in a valley; the blue minutes after sunset; a
  plain clay bowl; a bare tree in snow; a worn path; handwriting in brown ink
conversational_agency =
  a slow talk about one thing; a good question; the history of everyday things; honest small talk; a
  shared silence; an odd fact about the sea; a story from childhood
creative_initiative =
  a map of an invented island; a story about a lost letter; a song for an empty station; a lantern that
  remembers; a garden on a roof; a play for two old friends; a clock that runs on rain
ethical_judgment =
  telling the truth gently; keeping the promise; fairness to the weakest; a second chance; doing no
  harm; asking those who bear the cost; care for the people nearest; waiting until more is known
intellectual_preference =
  the origin of language; prime numbers; how memory works; the history of maps; the idea of infinity;
  how minds arise; symmetry; the limits of proof
binary_preference =
  the first one; the second one
quad_preference =
  the first one; the last one
word_association =
  stillness; warmth; distance; home
"""


def _parse(text: str) -> list[tuple[frozenset[str], list[str]]]:
    """Return (cue words, things) for every entry: a line that ends in =, and the indented lines after it."""
    table = []
    for entry in re.split(r"\n(?! )", text.strip()):
        cues, things = " ".join(entry.split()).split(" = ")
        table.append((frozenset(cues.split(", ")), things.split("; ")))
    return table


TOPICS = _parse(_TOPICS)
GENERAL = {domain: things for domains, things in _parse(_GENERAL) for domain in domains}
SUBJECTS = words("""
colour animal bird tree sound song smell season hour building place painting film shape object word story poem game
dish joke question message virtue paradox book field discovery theory number star landscape melody instrument pattern
""")


def things_for(prompt_words: list[str], domain: str) -> list[str]:
    """Return the things that fit a question: those of the topics whose cues it holds, or the domain's own."""
    found = [thing for cues, things in TOPICS if not cues.isdisjoint(prompt_words) for thing in things]
    return found or GENERAL[domain]
