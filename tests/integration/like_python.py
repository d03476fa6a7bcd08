"""What code on a collection field is compared with: the same on Python's own.

Of each field: what is done first, then one line of code for each comparison: an expression, or
statements behind "!" that may leave something in `r`. "¶" is a line's end in them.
"""

from __future__ import annotations

_CODES = [
    (
        "numbers",
        "x.extend([3, 1, 2])",
        r"""
x[0]
x[-1]
x[3]
x[-4]
x[1:]
x[::-1]
x[5:9]
x[::2]
x['a']
x[1.5]
len(x)
2 in x
2.0 in x
True in x
'2' in x
[] in x
x.index(1)
x.index(9)
x.index(3, 1)
x.count(2)
x.pop()
x.pop(0)
x.pop(-2)
x.pop(3)
x.pop(-4)
x.insert(1, 9)
x.insert(-1, 9)
x.insert(99, 9)
x.insert(-99, 9)
x.remove(1)
x.remove(9)
x.append(7)
x.clear()
!del x[1]
!del x[-1]
!del x[5]
!del x[1:]
!del x[::2]
!del x[::-2]
!del x[5:1]
!x[1] = 8
!x[-3] = 8
!x[3] = 8
!x += [4, 5]
!x += (n for n in x[:])
x.extend(x)
x + [4]
x == [3, 1, 2]
x == [3]
x != [3, 1, 2]
x < [4]
x == (3, 1, 2)
list(reversed(x))
sorted(x)
sum(x)
min(x), max(x)
x.sort()
x.sort(reverse=True)
x.sort(key=lambda n: -n)
x.reverse()
x.copy()
[n * 2 for n in x]
hash(x)
bool(x)
x.extend(5)
x.pop(1, 2)
!for n in x: len(x) < 6 and x.append(n)
!it = iter(x); next(it); x.clear(); r = list(it)
!a, *b = x¶r = a, b
[*x]
x.insert('a', 1)
!x[0:1] = 5
""",
    ),
    (
        "numbers",
        "pass",
        r"""
x.pop()
bool(x)
max(x)
!del x[0]
list(x)
""",
    ),
    (
        "names",
        "x.extend(['b', 'a', 'ü' * 20, ''])",
        r"""
x[2]
'a' in x
b'a' in x
x.index('')
x.sort()
','.join(x)
!x[0] = 'long' * 9
x.pop(2)
x.insert(2, 'c' * 40)
!del x[1:3]
'\ud800' in x
""",
    ),
    (
        "ring",
        "x.extend([1, 2, 3])",
        r"""
x[0]
x[-1]
x[3]
len(x)
2 in x
x.append(4)
x.extend(range(9))
x.clear()
x.maxlen
x.count(2)
x.index(3)
!x[1] = 8
!for n in x: x.append(n)
!it = iter(x); x.append(4); r = next(it)
list(reversed(x))
sum(x)
hash(x)
!x += [7, 8, 9]
""",
    ),
    (
        "by_user",
        "x.update(a=1, b=2, c=3)",
        r"""
x['a']
x['z']
x[5]
x[[]]
x.get('a')
x.get('z')
x.get('z', 7)
x.get([])
x.setdefault('a', 9)
x.setdefault('z', 9)
x.pop('b')
x.pop('z')
x.pop('z', None)
x.popitem()
list(x)
list(x.keys())
list(x.values())
list(x.items())
len(x.items())
'a' in x
'z' in x
1 in x
[] in x
'a' in x.keys()
2 in x.values()
('a', 1) in x.items()
x.update({'b': 5, 'd': 6})
x.update([('b', 5)])
x.update(5)
x.update(q=1)
x.clear()
!x['d'] = 4
!x['a'] += 4
!del x['a']
!del x['z']
!x |= {'e': 5}
!x |= [('e', 5)]
!x |= 5
x | {'a': 9, 'z': 1}
{'a': 9, 'z': 1} | x
x | 5
x == {'a': 1, 'b': 2, 'c': 3}
x == {}
x.copy()
dict(x)
{**x}
max(x, key=x.get)
bool(x)
hash(x)
!for k in x: x.pop(k)
!for k in x: x[k] = 0
!for k, v in x.items(): x[k * 2] = v
!del x['a']; x['a'] = 1
x.get()
x.pop()
!it = iter(x.values()); next(it); r = list(it)
!x.clear(); x.popitem()
!match x:¶    case {'a': n}: r = n
""",
    ),
    (
        "by_id",
        "x.update({1: 0.5, -2: 1.5})",
        r"""
x[1]
x[1.0]
x[True]
x['1']
1.0 in x
2**70 in x
!x[3] = 2.5
x[-2]
1.5 in x
float('nan') in x
float('inf') in x
""",
    ),
    (
        "seen",
        "x.update('abc')",
        r"""
'a' in x
'z' in x
5 in x
[] in x
x.add('d')
x.add('a')
x.discard('a')
x.discard('z')
x.remove('b')
x.remove('z')
x.clear()
len(x)
!x |= {'e'}
!x |= ['e']
!x -= {'a', 'q'}
!x &= {'a', 'q'}
sorted(x | {'z'})
sorted({'z'} | x)
sorted(x & {'a', 'z'})
sorted(x - {'a'})
sorted({'a', 'q'} - x)
sorted(x ^ {'a', 'q'})
x == {'a', 'b', 'c'}
x == {'a'}
x <= {'a', 'b', 'c', 'd'}
x > {'a'}
{'a'} <= x
x.isdisjoint({'q'})
x.issubset('abcd')
x.issuperset('ab')
sorted(x.union('q'))
sorted(x.intersection('ab'))
sorted(x.difference('ab'))
x.update('xy', 'z')
x.difference_update('ab')
!for e in x: x.add('z')
!x.clear(); x.pop()
hash(x)
sorted(x.copy())
x | 5
x.update(5)
x == 5
""",
    ),
    (
        "ids",
        "x.update([1, 2])",
        r"""
1.0 in x
True in x
x.discard(1.0)
1.5 in x
""",
    ),
    (
        "hits",
        "x.update('abracadabra')",
        r"""
x['a']
x['z']
!x['a'] += 1
!x['z'] += 1
x.most_common()
x.most_common(2)
x.most_common(0)
x.most_common(99)
x.total()
x.update({'a': 3})
x.update('zz')
x.update(q=2)
x.subtract('aab')
x.subtract(a=9)
!del x['z']
!del x['a']
len(x)
'z' in x
x.get('z')
x.pop('a')
x == {'a': 5, 'b': 2, 'r': 2, 'c': 1, 'd': 1}
!x['q'] = 0
list(x.items())
!for k in x: x[k] += 1
x.most_common('a')
""",
    ),
]

LIKE_PYTHON = [
    (field, begin, code.replace("¶", "\n"))
    for field, begin, codes in _CODES
    for code in codes.strip().splitlines()
]
