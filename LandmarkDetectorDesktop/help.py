"""The two texts of the help menu."""

from __future__ import annotations

KEYS = """<h3>In a slice view</h3><table cellspacing="4">
<tr><td><b>Wheel</b>, slider in the bar</td><td>through the slices</td></tr>
<tr><td><b>Right button</b> and drag, Ctrl and wheel</td><td>zoom</td></tr>
<tr><td><b>Middle button</b> or Shift with the left button, and drag</td><td>move the picture</td></tr>
<tr><td><b>Window/level</b> on (Ctrl+L), then left button and drag</td><td>brightness and contrast</td></tr>
<tr><td><b>Shift</b> and move</td><td>all views to this point</td></tr>
<tr><td><b>Double click</b></td><td>this view alone, or all views</td></tr>
<tr><td>Left button on a landmark, and drag</td><td>move the landmark</td></tr></table>
<h3>In the 3D view</h3><table cellspacing="4">
<tr><td>Left button and drag</td><td>turn</td></tr>
<tr><td>Right button and drag, wheel</td><td>zoom</td></tr>
<tr><td>Middle button and drag</td><td>move</td></tr></table>
<h3>In the table of landmarks</h3><table cellspacing="4">
<tr><td><b>C</b>, <b>X</b></td><td>confirm, absent</td></tr>
<tr><td><b>L</b></td><td>place by a click in a view</td></tr>
<tr><td><b>R</b></td><td>back to the proposal</td></tr>
<tr><td><b>N</b>, <b>P</b></td><td>next, previous</td></tr>
<tr><td><b>U</b>, <b>Shift+U</b></td><td>undo, redo</td></tr></table>"""

ABOUT = """<h3>Landmark Detector</h3>
<p>Proposes anatomical landmarks in medical images; a person reviews every one of them.</p>
<p>For research and teaching; it is no medical device.</p>
<p>Drawn with the libraries of 3D Slicer, VTK and Qt.</p>"""
