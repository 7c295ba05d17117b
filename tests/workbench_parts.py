"""What tests of the workbench share: a fact as a visitor types it, and settings that make its edit quick."""

from obverse.workbench.form import FactForm

QUICK = "contexts.lengths=[[4, 2]]\nmoment=null\nsteps=8"
NEEDLE = FactForm("Space Needle", "The {} is in the city of", "Paris", "Seattle")
