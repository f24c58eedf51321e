import astro_photz

cutouts = astro_photz.Cutouts.read(astro_photz.demo_path())  # 24 simulated galaxies
table = astro_photz.predict(cutouts, pdf=True)
table.round({"z_phot": 3, "z_phot_err": 3})
rows = [3, 9, 15, 17]
print(table["id", "z_phot", "z_phot_err", "z_phot_flags"][rows])
astro_photz.plots.plot_gallery(table, cutouts, rows=rows, columns=2)
astro_photz.plots.plot_pdf(table, rows)
